//! Settings of tracing, checked.

use std::{fs, time::Duration};

use reqwest::{
    Certificate,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use secrecy::ExposeSecret;
use url::Url;

use super::{ConfigError, secret};
use crate::args::{TraceArgs, TraceSampler};

/// Where traces go, and which.
pub struct Traces {
    /// Where they are sent to, `/v1/traces` and all.
    pub endpoint: Url,
    /// What is sent with them; may hold secrets.
    pub headers: HeaderMap,
    /// The authorities that the receiver's certificate may come from, if not
    /// the system's.
    pub authorities: Option<Vec<Certificate>>,
    /// How long one export may take.
    pub timeout: Duration,
    /// What this service is called.
    pub service_name: String,
    /// What else is said of this server.
    pub attributes: Vec<(String, String)>,
    /// Which requests are traced.
    pub sampler: TraceSampler,
    /// For the samplers by ratio: which part, from 0 to 1.
    pub ratio: f64,
}

impl Traces {
    /// Checks the settings; nothing, where no receiver is set.
    pub(super) fn from_args(args: TraceArgs) -> Result<Option<Self>, ConfigError> {
        let headers = headers(&args)?;
        let attributes = args.otel_resource_attributes.as_deref();
        let attributes = attributes.map_or(Ok(Vec::new()), |text| {
            pairs("OTEL_RESOURCE_ATTRIBUTES", text)
        })?;
        let ratio = args.otel_traces_sampler_arg;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(ConfigError::new(
                "OTEL_TRACES_SAMPLER_ARG",
                "must be from 0 to 1",
            ));
        }
        let authorities = args.otel_exporter_otlp_certificate;
        let authorities = authorities.map(|file| authorities_in(&file)).transpose()?;
        let Some(endpoint) = args.otel_exporter_otlp_endpoint else {
            return Ok(None);
        };
        Ok(Some(Self {
            endpoint: endpoint_of_traces(&endpoint)?,
            headers,
            authorities,
            timeout: Duration::from_millis(args.otel_exporter_otlp_timeout),
            service_name: args.otel_service_name,
            attributes,
            sampler: args.otel_traces_sampler,
            ratio,
        }))
    }
}

/// The receiver's own path for traces (OTLP specification, "OTLP/HTTP Request").
fn endpoint_of_traces(text: &str) -> Result<Url, ConfigError> {
    let wrong = |reason: &str| ConfigError::new("OTEL_EXPORTER_OTLP_ENDPOINT", reason);
    let mut url =
        Url::parse(text).map_err(|_| wrong("is not a URL, such as http://collector:4318"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("must begin with http:// or https:// and name a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "must hold no password; OTEL_EXPORTER_OTLP_HEADERS is for that",
        ));
    }
    url.path_segments_mut()
        .map_err(|()| wrong("cannot have a path"))?
        .pop_if_empty()
        .extend(["v1", "traces"]);
    Ok(url)
}

fn headers(args: &TraceArgs) -> Result<HeaderMap, ConfigError> {
    const NAME: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    let text = secret(
        NAME,
        args.otel_exporter_otlp_headers.clone(),
        args.otel_exporter_otlp_headers_file.clone(),
    )?;
    let mut headers = HeaderMap::new();
    for (name, value) in text.map_or(Ok(Vec::new()), |text| pairs(NAME, text.expose_secret()))? {
        let name: HeaderName = name
            .parse()
            .map_err(|_| ConfigError::new(NAME, "holds a name that no header can have"))?;
        let mut value: HeaderValue = value
            .parse()
            .map_err(|_| ConfigError::new(NAME, "holds a value that no header can have"))?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

/// `name=value,name=value`, values percent-encoded as in W3C Baggage.
fn pairs(setting: &'static str, text: &str) -> Result<Vec<(String, String)>, ConfigError> {
    let decode = |value: &str| {
        let bytes = percent_encoding::percent_decode_str(value.trim());
        bytes.decode_utf8().ok().map(String::from)
    };
    let pair = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let name = name.trim();
        (!name.is_empty()).then_some((name.to_owned(), decode(value)?))
    };
    text.split(',')
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            pair(part).ok_or_else(|| ConfigError::new(setting, "must be name=value,name=value"))
        })
        .collect()
}

fn authorities_in(file: &str) -> Result<Vec<Certificate>, ConfigError> {
    const NAME: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";
    let pem = fs::read(file)
        .map_err(|error| ConfigError::new(NAME, format!("cannot be read from {file}: {error}")))?;
    let found = Certificate::from_pem_bundle(&pem).unwrap_or_default();
    if found.is_empty() {
        return Err(ConfigError::new(
            NAME,
            format!("names {file}, which holds no certificate in PEM form"),
        ));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_for_traces_is_appended() {
        for (text, expected) in [
            (
                "http://collector:4318",
                Some("http://collector:4318/v1/traces"),
            ),
            (
                "http://collector:4318/",
                Some("http://collector:4318/v1/traces"),
            ),
            (
                "https://otel.example.com/tenant/7",
                Some("https://otel.example.com/tenant/7/v1/traces"),
            ),
            ("collector:4318", None),
            ("grpc://collector:4317", None),
            ("http://user:hunter2@collector", None),
        ] {
            let found = endpoint_of_traces(text).map(String::from);
            assert_eq!(found.as_deref().ok(), expected, "{text}");
            assert!(!format!("{found:?}").contains("hunter2"));
        }
    }

    #[test]
    fn pairs_are_decoded() {
        let read = |text| pairs("X", text).ok();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(""), Some(vec![]));
        assert_eq!(
            read("authorization=Bearer%20a=b, x-tenant = 7"),
            Some(vec![
                pair("authorization", "Bearer a=b"),
                pair("x-tenant", "7")
            ])
        );
        for wrong in ["novalue", "=value", "a=%ff"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
