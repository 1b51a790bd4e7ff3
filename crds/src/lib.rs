//! The `AuthStack` custom resource.
