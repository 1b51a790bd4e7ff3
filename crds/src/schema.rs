//! Pieces of schema that several fields share and that the derive cannot say:
//! patterns, list and map kinds, bounds (CEL's cost budget needs them all).

use schemars::{Schema, SchemaGenerator, json_schema};

/// A number and a unit. Kubernetes' own durations know no day.
pub(crate) fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 6,
        // A rule rather than a pattern: its message can say what is wanted.
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[1-9][0-9]{0,4}(s|m|h|d)$')",
            "message": "must be a whole number from 1 to 99999 and a unit: 30s, 1m, 12h or 7d",
        }],
    })
}

/// Whole and decimal quantities with Kubernetes' suffixes, none negative.
const QUANTITY: &str =
    r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][-+]?[0-9]+))?$";

/// A whole quantity of bytes, at least 1: a volume of none or half a byte is a slip.
pub(crate) fn storage_quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 17,
        "x-kubernetes-validations": [{
            "rule": r"self.matches('^[1-9][0-9]{0,14}([KMGTPE]i|[kMGTPE])?$')",
            "message": "must be a whole quantity of bytes, such as 10Gi",
        }],
    })
}

/// Quantities by the name of the resource.
pub(crate) fn quantities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "pattern": QUANTITY,
            "minimum": 0,
            "x-kubernetes-int-or-string": true,
        },
    })
}

/// An image reference, with a tag or a digest if any.
pub(crate) fn image(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "nullable": true,
        "maxLength": 512,
        "x-kubernetes-validations": [{
            "rule": r"self.matches('^[a-z0-9][-._/:@a-zA-Z0-9]*$')",
            "message": "must be an image reference, such as registry.example.com/name:1.0",
        }],
    })
}

/// The name of an object: an RFC 1123 subdomain.
pub(crate) fn object_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 253,
        "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$",
    })
}

/// A host name: the same letters, and no wildcard, because it becomes a URL.
pub(crate) fn host_name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 253,
        "x-kubernetes-validations": [{
            "rule": r"self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
            "message": "must be a host name in lower case without scheme, port or wildcard, such as auth.example.com",
        }],
    })
}

/// A version of the stack.
pub(crate) fn version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 17,
        "x-kubernetes-validations": [{
            "rule": r"self.matches('^[0-9]{1,5}[.][0-9]{1,5}[.][0-9]{1,5}$')",
            "message": "must be a full version, such as 0.1.0",
        }],
    })
}

/// Networks in CIDR notation; the API server knows what one is.
pub(crate) fn cidrs(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 64,
        "x-kubernetes-list-type": "set",
        "items": {
            "type": "string",
            "maxLength": 43,
            "x-kubernetes-validations": [{
                "rule": "isCIDR(self)",
                "message": "must be a network in CIDR notation, for example 10.0.0.0/8 or fd00::/8",
            }],
        },
    })
}

/// Annotations to pass on.
pub(crate) fn annotations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 8192},
    })
}

/// Conditions: a map keyed by type, as the API conventions want them.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": {
                    "type": "string",
                    "maxLength": 316,
                    "description": "What the condition speaks of, in CamelCase.",
                },
                "status": {
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                    "description": "Whether it holds.",
                },
                "observedGeneration": {
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                    "description": "The generation of the manifest that this was found for.",
                },
                "lastTransitionTime": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When status last changed.",
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "description": "Why, as one stable CamelCase word for programs.",
                },
                "message": {
                    "type": "string",
                    "maxLength": 32768,
                    "description": "Why, as a sentence for people, with what to do.",
                },
            },
        },
    })
}
