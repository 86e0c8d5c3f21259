//! The `purser` command. Everything is in the library beside it, where the tests reach it.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    purser_cli::entry::main()
}
