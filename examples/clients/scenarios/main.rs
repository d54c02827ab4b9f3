//! Scenarios that every client of the resume protocol goes through, and a judge of how it came out of them.
//!
//! `control` → `run` → (`plan` of `catalogue`) → `door`, `proxy` (`fate`, `relay`, `http1`) → `node` (`script`);
//! `wire` and `facts` note what happens, and `judge` and `rules` hold a client's `report` against it.

mod catalogue;
mod control;
mod door;
mod expect;
mod facts;
mod fate;
mod http1;
mod judge;
mod matrix;
mod node;
mod plan;
mod proxy;
mod redis;
mod relay;
mod report;
mod rules;
mod run;
mod script;
mod sse;
#[cfg(test)]
mod judge_tests;
#[cfg(test)]
mod trial;
mod unread;
mod wire;

use std::{
    error::Error,
    future::Future,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tokio::{io::AsyncReadExt as _, net::TcpListener};

const USAGE: &str = "usage: client-scenarios             serves scenarios until its standard input ends
       client-scenarios matrix DIR  prints the table of what is kept in DIR";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever started this may have gone.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            let runtime = tokio::runtime::Runtime::new()?;
            let served = runtime.block_on(serve());
            // The thread that reads the standard input may be blocked for ever.
            runtime.shutdown_background();
            served
        }
        ["matrix", dir] => {
            let order: Vec<&str> = catalogue::SCENARIOS.iter().map(|scenario| scenario.name).collect();
            let matrix = matrix::Matrix::load(Path::new(dir)).map_err(|error| format!("{dir}: {error}"))?;
            Ok(std::io::stdout().write_all(matrix.table(&order).as_bytes())?)
        }
        _ => Err(USAGE.into()),
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let dir = std::env::var_os("CLIENT_MATRIX_DIR").map(PathBuf::from);
    let control = control::Control::new(dir, control::FORGOTTEN).await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let told = serde_json::json!({ "control": format!("http://{}", listener.local_addr()?) });
    writeln!(std::io::stdout(), "{told}")?;
    tokio::select! {
        served = axum::serve(listener, control.router()) => Ok(served?),
        () = input_ended() => Ok(()),
        () = told_to_stop()? => Ok(()),
    }
}

/// Ready when whoever started this process has gone.
async fn input_ended() {
    let mut bytes = [0; 1024];
    let mut input = tokio::io::stdin();
    while input.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
}

#[cfg(unix)]
fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn told_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
