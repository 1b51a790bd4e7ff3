//! Options of tracing, by the names that OpenTelemetry gives them
//! (its specification, "Environment Variables").

use clap::{Args, ValueEnum};

/// Where traces go, and which.
#[derive(Args)]
pub struct TraceArgs {
    /// The OTLP receiver that traces are sent to, such as
    /// http://collector:4318 (unset: no traces are made).
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otel_exporter_otlp_endpoint: Option<String>,
    /// What to send with each export, such as authorization=Bearer%20key;
    /// several are parted by commas.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS", hide_env_values = true)]
    pub otel_exporter_otlp_headers: Option<String>,
    /// A file with OTEL_EXPORTER_OTLP_HEADERS.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_HEADERS_FILE")]
    pub otel_exporter_otlp_headers_file: Option<String>,
    /// How to speak to the receiver.
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_PROTOCOL",
        default_value = "http/protobuf"
    )]
    pub otel_exporter_otlp_protocol: OtlpProtocol,
    /// A PEM file with the authorities to trust for an https receiver, in
    /// place of the system's.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_CERTIFICATE")]
    pub otel_exporter_otlp_certificate: Option<String>,
    /// How long one export may take, in milliseconds.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_TIMEOUT", default_value_t = 10_000,
          value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub otel_exporter_otlp_timeout: u64,
    /// What this service is called in traces.
    #[arg(long, env = "OTEL_SERVICE_NAME", default_value = "authstack-api")]
    pub otel_service_name: String,
    /// What else to say of this server, such as deployment.environment=test;
    /// several are parted by commas.
    #[arg(long, env = "OTEL_RESOURCE_ATTRIBUTES")]
    pub otel_resource_attributes: Option<String>,
    /// Which requests are traced.
    #[arg(
        long,
        env = "OTEL_TRACES_SAMPLER",
        default_value = "parentbased_always_on"
    )]
    pub otel_traces_sampler: TraceSampler,
    /// For the samplers by ratio: which part, from 0 to 1.
    #[arg(long, env = "OTEL_TRACES_SAMPLER_ARG", default_value_t = 1.0)]
    pub otel_traces_sampler_arg: f64,
}

/// Ways to send traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OtlpProtocol {
    /// Protocol Buffers by HTTP.
    #[value(name = "http/protobuf")]
    HttpProtobuf,
}

/// Ways to choose what is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum TraceSampler {
    /// Everything.
    AlwaysOn,
    /// Nothing.
    AlwaysOff,
    /// A part, chosen by the trace's id.
    #[value(name = "traceidratio")]
    Ratio,
    /// What the caller traces; everything where there is none.
    #[value(name = "parentbased_always_on")]
    ParentOrOn,
    /// What the caller traces, and nothing else.
    #[value(name = "parentbased_always_off")]
    ParentOrOff,
    /// What the caller traces; a part where there is none.
    #[value(name = "parentbased_traceidratio")]
    ParentOrRatio,
}
