//! The `purser` command. Everything is in the library beside it, where the tests reach it.

fn main() -> std::process::ExitCode {
    purser_cli::entry::main()
}
