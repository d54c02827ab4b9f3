//! Reads an event stream, and comes back by itself when the connection is lost.
//!
//! ```sh
//! cargo run --example draft-graph                    # in one terminal
//! cargo run --features client --example client -- \
//!     http://127.0.0.1:3101/assist/draft-graph/stream \
//!     '{"brief":"Should we build our own billing system or buy one this year?"}' \
//!     /assist/draft-graph/resume
//! ```
//!
//! With a body it is a `POST`, else a `GET`. `STREAM_PLACE=FOLDER` keeps the place in the stream there: killed and started
//! again, the program goes on where it was.
#![allow(clippy::print_stdout, reason = "printing is what it does")]

use std::{error::Error, process::ExitCode};
use tower_resume::client::{Client, FileStorage, Item, State};

const USAGE: &str = "usage: client URL [JSON [RESUME_URL]]";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            let mut cause = error.source();
            while let Some(source) = cause {
                eprintln!("  because: {source}");
                cause = source.source();
            }
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or(USAGE)?;
    let client = Client::new();
    let mut request = match arguments.next() {
        Some(body) => {
            let body: serde_json::Value =
                serde_json::from_str(&body).map_err(|error| format!("JSON expected: {error}"))?;
            // A request that is lost on its way is sent again, and runs once where the server takes keys.
            client.post(&url).json(&body).idempotent()
        }
        None => client.get(&url),
    };
    if let Some(resume_url) = arguments.next() {
        request = request.resume_url(resume_url);
    }
    if let Some(folder) = std::env::var_os("STREAM_PLACE") {
        request = request.storage(FileStorage::new(folder));
    }
    // A server that is not there is worth an answer to whoever sits in front of this.
    let request = request.max_attempts(8);
    let mut stream = request
        .on_state(|state| {
            if state == State::Waiting {
                eprintln!("the connection is lost; it comes back");
            }
        })
        .send();
    while let Some(item) = stream.next().await {
        match item? {
            Item::Event(event) => println!("{:>4} {}: {}", event.seq, event.name, event.data),
            Item::Gap(gap) => println!("     {} to {} are gone: {}", gap.from, gap.to, gap.reason.as_str()),
            Item::Snapshot(snapshot) => println!("     in place of all up to {}: {}", snapshot.seq, snapshot.data),
            Item::End(end) => println!("     over: {}, {} events", end.status, end.seq),
            _ => {}
        }
    }
    eprintln!("{:?}", stream.stats());
    Ok(())
}
