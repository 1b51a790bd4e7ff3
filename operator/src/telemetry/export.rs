//! Spans on their way to an OTLP receiver, by a thread of their own, in
//! batches. One that is away costs nothing but the spans.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use opentelemetry::{KeyValue, trace::TracerProvider as _};
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SdkTracer, SdkTracerProvider, SpanData},
};

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

/// Starts exporting to `endpoint`. What else there is to set (headers, time
/// limit, sampler, resource attributes) the library reads from the variables
/// that OpenTelemetry's specification names.
pub(super) fn start(
    endpoint: &str,
    service_name: &str,
) -> Result<(SdkTracer, ExportGuard), ExporterBuildError> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
        .build()?;
    let resource = Resource::builder()
        .with_attributes([KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))])
        .with_service_name(service_name.to_owned())
        .build();
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_batch_exporter(Telling {
            exporter,
            failing: AtomicBool::new(false),
        })
        .build();
    let tracer = provider.tracer("authstack-operator");
    Ok((tracer, ExportGuard(provider)))
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
