//! The jail alone, for this crate's tests: slipway itself enters it through its hidden subcommand.

fn main() -> std::process::ExitCode {
    slipway_workers::jail::main()
}
