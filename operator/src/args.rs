//! The command line, which is also the environment: every flag has a variable.

use std::{collections::BTreeSet, path::PathBuf, str::FromStr};

use clap::{
    Args as ClapArgs, CommandFactory as _, Parser, Subcommand, ValueEnum,
    error::{ContextKind, ContextValue},
};

/// Runs AuthStacks: one manifest becomes one authentication service.
#[derive(Clone, Debug, Parser)]
#[command(name = "authstack-operator", version, disable_help_subcommand = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The three things that the binary can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Watch AuthStacks and keep their children true, until SIGTERM.
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinition as YAML.
    Crd,
    /// Print what would be applied for a manifest, without a cluster.
    Render(RenderArgs),
}

/// Flags of `run`.
#[derive(Clone, Debug, ClapArgs)]
pub struct RunArgs {
    /// Namespaces to watch, separated by commas; empty means all of them.
    #[arg(
        long,
        env = "WATCH_NAMESPACES",
        default_value = "",
        hide_default_value = true
    )]
    pub watch_namespaces: WatchNamespaces,

    /// Namespace that holds the Lease; the client's own when not given.
    #[arg(long, env = "POD_NAMESPACE", value_parser = namespace)]
    pub pod_namespace: Option<String>,

    /// Name of this replica in the Lease; the host name when not given.
    #[arg(long, env = "POD_NAME", value_parser = not_blank)]
    pub pod_name: Option<String>,

    /// Name of the Lease that the replicas share.
    #[arg(long, env = "LEASE_NAME", default_value = "authstack-operator", value_parser = subdomain)]
    pub lease_name: String,

    /// Port for /livez, /readyz and /metrics.
    #[arg(long, env = "HEALTH_PORT", default_value_t = 8080)]
    pub health_port: u16,

    /// How much to log.
    #[arg(long, env = "LOG_LEVEL", default_value = "info")]
    pub log_level: LogLevel,

    /// How to log: one JSON object per line, or text for people.
    #[arg(long, env = "LOG_FORMAT", default_value = "json")]
    pub log_format: LogFormat,

    /// Where traces go.
    #[command(flatten)]
    pub traces: TraceArgs,

    /// Images that replace the pinned ones.
    #[command(flatten)]
    pub images: Images,
}

/// What there is to say about traces. What else OpenTelemetry's specification
/// has variables for (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`, …) is
/// read as it says.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct TraceArgs {
    /// The OTLP receiver that traces are sent to, such as
    /// http://collector:4318; no traces are made when not given.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL", value_parser = receiver)]
    pub otel_exporter_otlp_endpoint: Option<String>,

    /// What this service is called in traces.
    #[arg(long, env = "OTEL_SERVICE_NAME", default_value = "authstack-operator", value_parser = not_blank)]
    pub otel_service_name: String,
}

/// Flags of `render`.
#[derive(Clone, Debug, ClapArgs)]
pub struct RenderArgs {
    /// The manifest to render; `-` reads standard input.
    #[arg(short, long, value_name = "FILE")]
    pub file: PathBuf,

    /// Images that replace the pinned ones.
    #[command(flatten)]
    pub images: Images,
}

/// Images for a whole operator. One that is set wins over the image that
/// `spec.version` pins and loses to the image that a manifest names.
#[derive(Clone, Debug, Default, PartialEq, Eq, ClapArgs)]
pub struct Images {
    /// Image of the authentication API.
    #[arg(long = "image-api", env = "RELATED_IMAGE_API", value_name = "IMAGE", value_parser = image)]
    pub api: Option<String>,

    /// Image of nginx.
    #[arg(long = "image-nginx", env = "RELATED_IMAGE_NGINX", value_name = "IMAGE", value_parser = image)]
    pub nginx: Option<String>,

    /// Image of PostgreSQL.
    #[arg(long = "image-postgres", env = "RELATED_IMAGE_POSTGRES", value_name = "IMAGE", value_parser = image)]
    pub postgres: Option<String>,
}

/// The namespaces to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum WatchNamespaces {
    /// Every namespace, those of tomorrow included.
    #[default]
    All,
    /// These and no other.
    Only(BTreeSet<String>),
}

impl FromStr for WatchNamespaces {
    type Err = String;

    /// Parses a comma-separated list.
    ///
    /// # Errors
    /// Says which entry is no namespace name (RFC 1123 label).
    fn from_str(list: &str) -> Result<Self, String> {
        if list.trim().is_empty() {
            return Ok(Self::All);
        }
        list.split(',')
            .map(|entry| namespace(entry.trim()))
            .collect::<Result<_, _>>()
            .map(Self::Only)
    }
}

/// How much to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    /// Only what failed.
    Error,
    /// And what may fail soon.
    Warn,
    /// And what changed.
    Info,
    /// And why.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level's name as filters spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

impl Args {
    /// The process's arguments and environment.
    ///
    /// # Errors
    /// A [`clap::Error`]; [`one_line`] says it in one line. Help and version
    /// come as errors too and are told apart by [`clap::Error::use_stderr`].
    pub fn from_process() -> Result<Self, clap::Error> {
        Self::try_parse()
    }
}

/// A refusal in one line that names the flag and its variable. clap's own goes
/// on for several lines with tips and usage, which a log collector tears apart.
#[must_use]
pub fn one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    match variable(error) {
        Some(variable) => format!("{line} (flag or variable {variable})"),
        None => line.to_owned(),
    }
}

/// The variable of the flag that an error is about: the value may have come
/// from there, and clap does not say.
fn variable(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(refused)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    // `--health-port <HEALTH_PORT>`, as usage has it.
    let refused = refused.split(' ').next()?.strip_prefix("--")?;
    let command = Args::command();
    command
        .get_subcommands()
        .flat_map(clap::Command::get_arguments)
        .find(|flag| flag.get_long() == Some(refused))
        .and_then(|flag| Some(flag.get_env()?.to_str()?.to_owned()))
}

/// An RFC 1123 label, which is what a namespace's name is.
fn namespace(name: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=63).contains(&name.len())
        && name.chars().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if fits {
        Ok(name.to_owned())
    } else {
        Err(format!("`{name}` is not the name of a namespace"))
    }
}

/// An RFC 1123 subdomain: labels joined by dots.
fn subdomain(name: &str) -> Result<String, String> {
    if name.len() <= 253 && name.split('.').all(|label| namespace(label).is_ok()) {
        Ok(name.to_owned())
    } else {
        Err(format!("`{name}` is not the name of an object"))
    }
}

/// An address by HTTP. Credentials go into headers: addresses are logged.
fn receiver(address: &str) -> Result<String, String> {
    let uri: http::Uri = address
        .parse()
        .map_err(|_| "is no URL, such as http://collector:4318".to_owned())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    match uri.authority() {
        Some(host) if host.as_str().contains('@') => {
            Err("must hold no password; OTEL_EXPORTER_OTLP_HEADERS is for that".to_owned())
        }
        Some(_) if is_http && uri.query().is_none() => Ok(address.to_owned()),
        _ => Err("must begin with http:// or https:// and name a host".to_owned()),
    }
}

fn not_blank(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("must not be empty; leave it out instead".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

/// Not a grammar of image references, only what no reference can hold: the
/// container runtime judges the rest.
fn image(reference: &str) -> Result<String, String> {
    let reference = not_blank(reference)?;
    if reference.contains(char::is_whitespace) || reference.contains(char::is_control) {
        return Err("an image reference holds no spaces".to_owned());
    }
    Ok(reference)
}

#[cfg(test)]
mod tests {
    use clap::{FromArgMatches as _, builder::Resettable};

    use super::*;

    /// Parses flags as `run` does, blind to the environment of the tests.
    fn run(flags: &[&str]) -> Result<RunArgs, String> {
        let words = ["authstack-operator", "run"].iter().chain(flags);
        let command = Args::command().mut_subcommand("run", |run| {
            run.mut_args(|flag| flag.env(Resettable::Reset))
        });
        let args = command
            .try_get_matches_from(words)
            .and_then(|matches| Args::from_arg_matches(&matches))
            .map_err(|error| one_line(&error))?;
        match args.command {
            Command::Run(args) => Ok(*args),
            other => panic!("not run: {other:?}"),
        }
    }

    #[test]
    fn run_needs_no_flag() {
        let args = run(&[]).unwrap();
        assert_eq!(args.watch_namespaces, WatchNamespaces::All);
        assert_eq!(args.lease_name, "authstack-operator");
        assert_eq!(args.health_port, 8080);
        assert_eq!(args.log_level, LogLevel::Info);
        assert_eq!(args.log_format, LogFormat::Json);
        assert_eq!(args.images, Images::default());
    }

    #[test]
    fn namespaces_are_a_set() {
        let args = run(&["--watch-namespaces", "b, a,b"]).unwrap();
        let expected = ["a".to_owned(), "b".to_owned()].into();
        assert_eq!(args.watch_namespaces, WatchNamespaces::Only(expected));
    }

    #[test]
    fn each_bad_value_is_one_line_that_names_its_flag() {
        for (flag, value, variable, reason) in [
            ("--health-port", "70000", "HEALTH_PORT", "70000"),
            ("--health-port", "web", "HEALTH_PORT", "web"),
            ("--log-level", "loud", "LOG_LEVEL", "debug"),
            ("--log-format", "xml", "LOG_FORMAT", "json"),
            ("--watch-namespaces", "a,,b", "WATCH_NAMESPACES", "``"),
            ("--watch-namespaces", "A", "WATCH_NAMESPACES", "`A`"),
            ("--pod-namespace", "-x", "POD_NAMESPACE", "`-x`"),
            ("--lease-name", "a/b", "LEASE_NAME", "`a/b`"),
            ("--pod-name", " ", "POD_NAME", "empty"),
            ("--image-api", "a b", "RELATED_IMAGE_API", "no spaces"),
            (
                "--otel-exporter-otlp-endpoint",
                "collector:4318",
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "http://",
            ),
            (
                "--otel-exporter-otlp-endpoint",
                "http://a:b@collector:4318",
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                "OTEL_EXPORTER_OTLP_HEADERS",
            ),
            ("--colour", "blue", "--colour", "unexpected"),
        ] {
            let line = run(&[&format!("{flag}={value}")]).unwrap_err();
            for word in [flag, variable, reason] {
                assert!(line.contains(word), "{flag}={value}: no {word} in: {line}");
            }
            assert!(!line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Args::try_parse_from(["authstack-operator", "render"]).unwrap_err();
        let line = one_line(&error);
        assert!(line.contains("--file <FILE>"), "{line}");
        assert!(!line.contains('\n'), "{line}");
    }

    #[test]
    fn every_flag_of_run_has_a_variable() {
        let command = Args::command();
        let run = command.find_subcommand("run").unwrap();
        for flag in run.get_arguments() {
            assert!(flag.get_env().is_some(), "{}", flag.get_id());
        }
    }
}
