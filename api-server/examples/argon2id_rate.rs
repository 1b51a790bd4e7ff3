//! How many argon2id hashes at the live cost this machine makes in a second:
//! the limit of what logins can reach. `bench/login-flood` compares.
//!
//! As the server does it: as many threads as cores, each with memory of its own
//! that is mapped once.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::{
    num::NonZero,
    thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use authstack_api::crypto::phc::{LIVE, OUTPUT_BYTES};

fn main() -> Result<(), argon2::Error> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let duration = Duration::from_secs(seconds.unwrap_or(10));
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let params = Params::new(LIVE.memory_kib, LIVE.passes, LIVE.lanes, Some(OUTPUT_BYTES))?;
    let started = Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|_| {
            let params = params.clone();
            thread::spawn(move || hash_for(duration, params))
        })
        .collect();
    let mut hashes = 0;
    for worker in workers {
        hashes += worker.join().unwrap_or(Ok(0))?;
    }
    let rate = f64::from(hashes) / started.elapsed().as_secs_f64();
    println!("{rate:.1}");
    Ok(())
}

/// How many hashes one thread makes.
fn hash_for(duration: Duration, params: Params) -> Result<u32, argon2::Error> {
    let mut memory = vec![Block::new(); params.block_count()];
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut output = [0; OUTPUT_BYTES];
    let started = Instant::now();
    let mut hashes = 0;
    while started.elapsed() < duration {
        argon2.hash_password_into_with_memory(
            b"securepass",
            b"sixteen bytes...",
            &mut output,
            &mut memory,
        )?;
        hashes += 1;
    }
    Ok(hashes)
}
