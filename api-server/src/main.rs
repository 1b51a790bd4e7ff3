//! The command line of the AuthStack authentication service.

use std::{io::Write, path::Path, process::ExitCode};

use anyhow::anyhow;
use authstack_api::{
    admin,
    args::{
        AdminCommand, AdminCreateArgs, Cli, Command, HealthcheckArgs, ImportArgs, MigrateArgs,
        ServeArgs, one_line,
    },
    config::{Config, Database},
    dotenv::{self, Dotenv},
    healthcheck,
    http::document,
    import, keys, server,
    store::migrate::migrate_as_read,
    telemetry,
};
use clap::error::ErrorKind;

/// The exit code of an import that left users behind.
const NOT_ALL_IMPORTED: u8 = 3;

fn main() -> ExitCode {
    let dotenv = match dotenv::read(Path::new(".env")) {
        Ok(dotenv) => dotenv,
        Err(error) => {
            eprintln!("authstack-api: .env cannot be read: {error}");
            return ExitCode::from(2);
        }
    };
    let cli = match Cli::parse_from_layers(std::env::args_os().collect(), &dotenv.entries) {
        Ok(cli) => cli,
        // Without a subcommand, the list of them is the answer.
        Err(help) if help.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            help.exit()
        }
        Err(error) if error.use_stderr() => {
            complain_about(&dotenv);
            eprintln!("authstack-api: {}", one_line(&error));
            return ExitCode::from(2);
        }
        // Help and version, which are not errors.
        Err(help) => help.exit(),
    };
    match run(cli.command, &dotenv) {
        Ok(code) => code,
        Err(error) => {
            // Each says all of it: the texts of its sources would repeat.
            eprintln!("authstack-api: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, dotenv: &Dotenv) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve(*args, dotenv)?,
        Command::Migrate(args) => run_migrations(args, dotenv)?,
        Command::Admin(args) => match args.command {
            AdminCommand::Create(args) => create_admin(*args, dotenv)?,
        },
        Command::Import(args) => return run_import(*args, dotenv),
        Command::Keys(args) => keys::run(&args, &mut std::io::stdout())?,
        Command::Openapi => print_document()?,
        Command::Healthcheck(HealthcheckArgs {
            metrics_port,
            listen_address,
        }) => healthcheck::check(listen_address, metrics_port)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(args: ServeArgs, dotenv: &Dotenv) -> anyhow::Result<()> {
    let config = Config::from_args(args).inspect_err(|_| complain_about(dotenv))?;
    let _log = telemetry::init(config.log_level, config.traces.as_ref())?;
    warn_about(dotenv);
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| anyhow!("the runtime cannot start: {error}"))?;
    Ok(runtime.block_on(server::serve(config))?)
}

fn run_migrations(args: MigrateArgs, dotenv: &Dotenv) -> anyhow::Result<()> {
    let database = Database::from_args(args.database).inspect_err(|_| complain_about(dotenv))?;
    let _log = telemetry::init(args.log.log_level, None)?;
    warn_about(dotenv);
    let runtime = small_runtime()?;
    let patience = args.migrate_timeout.duration();
    let role = args.runtime_role.as_deref();
    Ok(runtime.block_on(migrate_as_read(|| database.current(), role, patience))?)
}

fn create_admin(args: AdminCreateArgs, dotenv: &Dotenv) -> anyhow::Result<()> {
    let _log = telemetry::init(args.log.log_level, None)?;
    warn_about(dotenv);
    let runtime = small_runtime()?;
    Ok(runtime.block_on(admin::create(args, &mut std::io::stdout()))?)
}

/// Without a log: what there is to say is the report, which names people.
fn run_import(args: ImportArgs, dotenv: &Dotenv) -> anyhow::Result<ExitCode> {
    let runtime = small_runtime()?;
    let complete = runtime
        .block_on(import::command::run(args, std::io::stdout()))
        .inspect_err(|_| complain_about(dotenv))?;
    Ok(if complete {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(NOT_ALL_IMPORTED)
    })
}

/// For a command that does one thing after another.
fn small_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all();
    let runtime = builder.build();
    runtime.map_err(|error| anyhow!("the runtime cannot start: {error}"))
}

fn print_document() -> anyhow::Result<()> {
    let text = document().to_pretty_json()?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

/// Before there is a log: what was not understood may be what is missing.
fn complain_about(dotenv: &Dotenv) {
    for line in &dotenv.malformed {
        eprintln!("authstack-api: line {line} of .env is not understood");
    }
}

/// A file that another service wrote may say things that mean nothing here.
fn warn_about(dotenv: &Dotenv) {
    let known = Cli::known_variables();
    for (name, _) in &dotenv.entries {
        if !known.contains(name) {
            tracing::warn!(name, "unknown setting in .env, ignored");
        }
    }
    for line in &dotenv.malformed {
        tracing::warn!(line, "line in .env is not understood, ignored");
    }
}
