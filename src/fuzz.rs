//! What holds of any input whatever, for a fuzzer to try: the targets in `fuzz/` call these, and `cargo test` runs them
//! over the corpus that is kept there. No part of the public API: it exists only under `cfg(fuzzing)` and in unit tests.
//!
//! Each function takes bytes and panics where something is wrong. What looks into a module's inside lies beside it.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    unreachable_pub,
    reason = "test code: to panic is what it is for"
)]

mod heads;

pub use crate::store::fuzz_codec::{chunk, read_chunk};
pub use crate::{framer::fuzz::framer, token::fuzz::token};
pub use heads::heads;

/// An input that is used up from the front. Behind its end come zeros, so that every input means something.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    /// The next bytes, as far as there are so many.
    pub(crate) fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub(crate) fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, path::Path};

    /// Runs what the corpus holds of this target; where it is not there (in a packaged crate), nothing.
    fn each_of(target: &str, run: fn(&[u8])) {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
        if !fuzz.exists() {
            return;
        }
        let corpus = fuzz.join("corpus").join(target);
        let files = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{}: {error}", corpus.display()));
        let mut seeds = 0;
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            run(&fs::read(path).unwrap());
            seeds += 1;
        }
        assert!(seeds >= 8, "{target}: {seeds} seeds");
    }

    #[test]
    fn the_framers_corpus_holds() {
        each_of("framer", framer);
    }

    #[test]
    fn the_tokens_corpus_holds() {
        each_of("token", token);
    }

    #[test]
    fn the_chunks_corpus_holds() {
        each_of("chunk", chunk);
    }

    #[test]
    fn the_heads_corpus_holds() {
        each_of("heads", heads);
    }
}
