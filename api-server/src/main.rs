//! The AuthStack API.

fn main() {}
