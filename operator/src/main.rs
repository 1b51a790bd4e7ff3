//! The AuthStack operator.

fn main() {}
