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

/// Labels to pass on, or to select by.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {
            "type": "string",
            "maxLength": 63,
            "pattern": "^([a-zA-Z0-9]([-._a-zA-Z0-9]*[a-zA-Z0-9])?)?$",
        },
    })
}

/// An object that is passed on; the operator checks it.
pub(crate) fn free_form(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

/// A list of host names.
pub(crate) fn host_names(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "set",
        "items": host_name(generator),
    })
}

/// Names of Secrets, by which the list is keyed.
pub(crate) fn secret_references(generator: &mut SchemaGenerator) -> Schema {
    let mut name = object_name(generator);
    name.insert("description".to_owned(), "Name of the Secret.".into());
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": {"type": "object", "required": ["name"], "properties": {"name": name}},
    })
}

/// Tolerations, as a pod has them.
pub(crate) fn tolerations(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "properties": {
                "key": {
                    "type": "string",
                    "maxLength": 317,
                    "description": "Key of the taint; every key when it is empty.",
                },
                "operator": {
                    "type": "string",
                    "enum": ["Exists", "Equal"],
                    "description": "Whether the value matters; Equal when it is not set.",
                },
                "value": {
                    "type": "string",
                    "maxLength": 63,
                    "description": "Value of the taint.",
                },
                "effect": {
                    "type": "string",
                    "enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"],
                    "description": "Effect of the taint; every effect when it is not set.",
                },
                "tolerationSeconds": {
                    "type": "integer",
                    "format": "int64",
                    "maximum": 9_007_199_254_740_991_i64,
                    "description": "For how long NoExecute is put up with, in seconds; for ever when it is not set.",
                },
            },
        },
    })
}

fn label_selector(description: &str) -> Schema {
    json_schema!({
        "type": "object",
        "description": description,
        "properties": {
            "matchLabels": {
                "type": "object",
                "description": "Labels that all must be there.",
                "maxProperties": 16,
                "additionalProperties": {"type": "string", "maxLength": 63},
            },
            "matchExpressions": {
                "type": "array",
                "description": "Requirements that all must be met.",
                "maxItems": 16,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "type": "string",
                            "maxLength": 317,
                            "description": "Key of the label.",
                        },
                        "operator": {
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                            "description": "How the label relates to the values.",
                        },
                        "values": {
                            "type": "array",
                            "maxItems": 32,
                            "x-kubernetes-list-type": "atomic",
                            "description": "The values, for In and NotIn.",
                            "items": {"type": "string", "maxLength": 63},
                        },
                    },
                },
            },
        },
    })
}

/// Peers, as a NetworkPolicy has them.
pub(crate) fn peers(_: &mut SchemaGenerator) -> Schema {
    let cidr = |description: &str| {
        json_schema!({
            "type": "string",
            "maxLength": 43,
            "description": description,
            "x-kubernetes-validations": [{
                "rule": "isCIDR(self)",
                "message": "must be a network in CIDR notation, for example 10.0.0.0/8 or fd00::/8",
            }],
        })
    };
    json_schema!({
        "type": "array",
        "maxItems": 32,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "object",
            "x-kubernetes-validations": [{
                "rule": "has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))",
                "message": "takes either ipBlock, or podSelector and namespaceSelector",
            }],
            "properties": {
                "podSelector": label_selector("Pods, in the AuthStack's namespace or in those that namespaceSelector chooses."),
                "namespaceSelector": label_selector("Namespaces; all pods in them without podSelector."),
                "ipBlock": {
                    "type": "object",
                    "description": "A network outside the cluster.",
                    "required": ["cidr"],
                    "properties": {
                        "cidr": cidr("The network."),
                        "except": {
                            "type": "array",
                            "maxItems": 16,
                            "x-kubernetes-list-type": "atomic",
                            "description": "Networks inside it that are not meant.",
                            "items": cidr("A network."),
                        },
                    },
                },
            },
        },
    })
}

/// Settings of PostgreSQL, but for those that the operator needs for itself.
pub(crate) fn postgres_parameters(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 128,
        "additionalProperties": {"type": "string", "maxLength": 1024},
        "x-kubernetes-validations": [
            {
                "rule": "self.all(key, key.size() < 64 && key.matches('^[a-z_]+([.][a-z_]+)?$'))",
                "message": "names must be those of postgresql.conf, such as shared_buffers",
            },
            {
                "rule": "!self.exists(key, key.startsWith('ssl') || key in ['listen_addresses', 'port', 'data_directory', 'config_file', 'hba_file', 'ident_file', 'external_pid_file', 'unix_socket_directories', 'unix_socket_group', 'unix_socket_permissions', 'password_encryption', 'fsync', 'full_page_writes', 'logging_collector', 'log_destination'])",
                "message": "the operator sets ssl*, listen_addresses, port, the names of files and sockets, password_encryption, fsync, full_page_writes, logging_collector and log_destination itself, because the stack's encryption, durability and logs depend on them: remove them",
            },
        ],
    })
}

/// Certificates, keyed by the Secret that holds each.
pub(crate) fn certificates(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["secretName"],
        "items": {
            "type": "object",
            "required": ["secretName", "notAfter"],
            "properties": {
                "secretName": {
                    "type": "string",
                    "maxLength": 253,
                    "description": "Name of the Secret that holds it.",
                },
                "notAfter": {
                    "type": "string",
                    "format": "date-time",
                    "description": "When it expires.",
                },
            },
        },
    })
}
