//! Detectors without I/O: names that resemble others' names, and content that asks for what is not its business.
