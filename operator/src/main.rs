//! The AuthStack operator's command line.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use authstack_operator::{
    args::{Args, Command, one_line},
    run,
};

fn main() -> ExitCode {
    let args = match Args::from_process() {
        Ok(args) => args,
        Err(error) if error.use_stderr() => {
            eprintln!("authstack-operator: {}", one_line(&error));
            return ExitCode::from(2);
        }
        // Help and version, which are not errors.
        Err(error) => error.exit(),
    };
    match execute(args.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("authstack-operator: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Run(args) => tokio::runtime::Builder::new_multi_thread()
            // The work is waiting for the API server; two workers keep the
            // election running while one is busy.
            .worker_threads(2)
            .enable_all()
            .build()
            .context("cannot start the runtime")?
            .block_on(run::run(*args))
            .map_err(Into::into),
        Command::Crd => print(&authstack_crds::crd_yaml()?),
        Command::Render(_) => anyhow::bail!("render comes with the pipeline"),
    }
}

/// Writes to standard output; unlike `print!`, a reader that has gone away
/// (`| head`) is an error and no panic.
fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")
}
