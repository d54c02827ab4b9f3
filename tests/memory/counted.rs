//! What it costs to be counted: for each event, neither memory nor a look-up.

use crate::{
    common::{Handler, call, get_stream, layer},
    numbers::Numbers,
    runtime,
};

const EVENTS: u64 = 2_000;

/// How often so many events, each in a frame and an append of its own, ask for memory.
fn allocations(numbers: Option<&Numbers>) -> u64 {
    let runtime = runtime();
    let here = numbers.map(Numbers::install);
    let handler = Handler::new();
    let app = handler.router().layer(layer());
    drop(here);
    let (mut first, told) = runtime.block_on(async {
        let mut first = call(app.clone(), get_stream()).await;
        let told = handler.told().await;
        first.phase("open").await;
        // Tables have grown by then.
        told.count(1..=1_000);
        first.counts(1..=1_000).await;
        (first, told)
    });
    let before = numbers.map(|numbers| (numbers.looked_up(), numbers.count("tower_resume_events_total")));
    let info = allocation_counter::measure(|| {
        runtime.block_on(async {
            for number in 1_001..=1_000 + EVENTS {
                told.count([number]);
                first.counts([number]).await;
            }
        });
    });
    if let Some((numbers, (looked_up, counted))) = numbers.zip(before) {
        assert_eq!(numbers.looked_up(), looked_up);
        assert_eq!(numbers.count("tower_resume_events_total"), counted + EVENTS);
    }
    info.count_total
}

#[test]
fn an_event_that_is_counted_asks_for_no_more_memory_than_one_that_is_not() {
    allocations(None);
    let (without, numbers) = (allocations(None), Numbers::default());
    let with = allocations(Some(&numbers));
    println!("{EVENTS} events allocate {without} times uncounted, {with} times counted");
    assert!(with <= without + EVENTS / 100, "{with} times with numbers, {without} without");
}
