//! Spans on their way to an OTLP receiver, by a thread of their own, in
//! batches. One that is away costs nothing but the spans.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData},
};
use reqwest::{blocking::Client, redirect};

use crate::{args::TraceSampler, config::Traces};

/// How long the end of the process waits for the last spans to be taken.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Sends what is left when it is dropped.
pub(super) struct ExportGuard(SdkTracerProvider);

impl Drop for ExportGuard {
    fn drop(&mut self) {
        // Bounded, because the receiver may be away. What is lost is told by
        // `Telling`, below.
        let _ = self.0.shutdown_with_timeout(LAST_WORDS);
    }
}

/// Starts exporting. Not to be called inside an asynchronous runtime: the
/// client has one of its own.
pub(super) fn start(settings: &Traces) -> io::Result<(SdkTracer, ExportGuard)> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(settings.endpoint.as_str())
        .with_timeout(settings.timeout)
        .with_http_client(client(settings).map_err(io::Error::other)?)
        .build()
        .map_err(io::Error::other)?;
    let attributes = settings.attributes.iter();
    let attributes = attributes.map(|(name, value)| KeyValue::new(name.clone(), value.clone()));
    let resource = Resource::builder()
        .with_attributes([KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))])
        .with_attributes(attributes)
        .with_service_name(settings.service_name.clone())
        .build();
    let provider = SdkTracerProvider::builder()
        .with_sampler(sampler(settings.sampler, settings.ratio))
        .with_resource(resource)
        .with_batch_exporter(Telling {
            exporter,
            failing: AtomicBool::new(false),
        })
        .build();
    let tracer = provider.tracer("authstack-api");
    Ok((tracer, ExportGuard(provider)))
}

fn client(settings: &Traces) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .timeout(settings.timeout)
        .default_headers(settings.headers.clone())
        // The headers may be secret and are for this receiver alone.
        .redirect(redirect::Policy::none());
    match &settings.authorities {
        Some(authorities) => builder.tls_certs_only(authorities.iter().cloned()),
        // The system's need not be there where nobody asks them.
        None if settings.endpoint.scheme() == "http" => builder.tls_certs_only([]),
        None => builder,
    }
    .build()
}

fn sampler(kind: TraceSampler, ratio: f64) -> Sampler {
    let by_ratio = Sampler::TraceIdRatioBased(ratio);
    match kind {
        TraceSampler::AlwaysOn => Sampler::AlwaysOn,
        TraceSampler::AlwaysOff => Sampler::AlwaysOff,
        TraceSampler::Ratio => by_ratio,
        TraceSampler::ParentOrOn => Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
        TraceSampler::ParentOrOff => Sampler::ParentBased(Box::new(Sampler::AlwaysOff)),
        TraceSampler::ParentOrRatio => Sampler::ParentBased(Box::new(by_ratio)),
    }
}

/// An exporter that says once that it fails, and once that it works again.
#[derive(Debug)]
struct Telling {
    exporter: SpanExporter,
    failing: AtomicBool,
}

impl opentelemetry_sdk::trace::SpanExporter for Telling {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let answer = self.exporter.export(batch).await;
        let failed = answer.is_err();
        let failed_before = self.failing.swap(failed, Ordering::Relaxed);
        match &answer {
            Err(error) if !failed_before => {
                tracing::warn!(%error, "traces cannot be exported and are dropped");
            }
            Ok(()) if failed_before => tracing::info!("traces are exported again"),
            _ => {}
        }
        answer
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
