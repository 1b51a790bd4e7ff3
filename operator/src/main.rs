//! The AuthStack operator's command line.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use authstack_operator::{
    args::{Args, Command, RenderArgs, one_line},
    reconcile, run, telemetry,
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
        Command::Run(args) => {
            let _telemetry = telemetry::init(args.log_level, args.log_format, &args.traces)?;
            tokio::runtime::Builder::new_multi_thread()
                // The work is waiting for the API server; two workers keep the
                // election running while one is busy.
                .worker_threads(2)
                .enable_all()
                .build()
                .context("cannot start the runtime")?
                .block_on(run::run(*args))
                .map_err(Into::into)
        }
        Command::Crd => print(&authstack_crds::crd_yaml()?),
        Command::Render(args) => print(&render(&args)?),
    }
}

fn render(args: &RenderArgs) -> anyhow::Result<String> {
    let name = args.file.display();
    let manifest = if args.file.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(&args.file)
    };
    let manifest = manifest.with_context(|| format!("cannot read {name}"))?;
    reconcile::render::render(&manifest, &args.images).with_context(|| name.to_string())
}

/// Writes to standard output; unlike `print!`, a reader that has gone away
/// (`| head`) is an error and no panic.
fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot write to standard output")
}
