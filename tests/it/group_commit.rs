//! How a stream is written to its store: one append in flight, the rest together in the next, and nothing twice.

use crate::common::{Gate, Nodes, keys, until};
use tower_resume::{ResumeLayer, store::Store};

/// A node over a gate that nothing has gone through yet, and a stream of so many events.
async fn held(events: u64) -> (Gate, Nodes, crate::common::Run) {
    let gate = Gate::new();
    let nodes = Nodes::start([ResumeLayer::new(gate.clone(), keys()).tokens_are_enough()]).await;
    let run = nodes.counted(events).await;
    (gate, nodes, run)
}

async fn appends(gate: &Gate, count: usize) -> Vec<(String, Vec<(u64, u64)>)> {
    until("the appends", async || gate.noted().len() >= count).await;
    gate.noted()
}

/// Waits until the store holds the stream up to here.
async fn stored(gate: &Gate, run: &crate::common::Run, last: u64) {
    let id = tower_resume::RequestId::parse(&run.request_id).unwrap();
    until("it is stored", async || gate.tail(id).await.unwrap().is_some_and(|tail| tail.last == last)).await;
}

#[tokio::test]
async fn what_arrives_while_an_append_is_in_flight_goes_together_into_the_next() {
    let (gate, _nodes, mut run) = held(40).await;
    assert_eq!(gate.noted(), [("begin".to_owned(), vec![(1, 0)])], "and the client had all 40 without waiting for it");
    gate.let_through(1);
    let noted = appends(&gate, 2).await;
    assert_eq!(noted[1], ("on 0".to_owned(), vec![(1, 16), (17, 32), (33, 40)]));
    run.count(3).await;
    assert_eq!(gate.noted().len(), 2, "one at a time");
    gate.let_through(1);
    assert_eq!(appends(&gate, 3).await[2], ("on 40".to_owned(), vec![(41, 43)]));
    gate.let_through(1);
    stored(&gate, &run, 43).await;
    run.end().await;
    assert_eq!(appends(&gate, 4).await[3], ("on 43".to_owned(), vec![(44, 43)]), "the end, with no event before it");
    gate.let_through(1);
}

#[tokio::test]
async fn an_append_whose_answer_was_lost_is_not_made_again() {
    let (gate, _nodes, mut run) = held(5).await;
    gate.let_through(1);
    appends(&gate, 2).await;
    gate.lose_an_answer();
    gate.let_through(1);
    stored(&gate, &run, 5).await;
    // In one piece: however soon it has looked, it does not meet one of them alone.
    run.told().send("data: 6\n\ndata: 7\n\n");
    run.first().counts([6, 7]).await;
    assert_eq!(appends(&gate, 3).await[2], ("on 5".to_owned(), vec![(6, 7)]), "it looked, and found its own chunk");
    gate.let_through(1);
    stored(&gate, &run, 7).await;
}

#[tokio::test]
async fn an_append_that_failed_is_made_again_in_the_same_chunks() {
    let (gate, _nodes, mut run) = held(5).await;
    gate.let_through(1);
    appends(&gate, 2).await;
    gate.fail_once();
    gate.let_through(1);
    run.count(2).await;
    assert_eq!(appends(&gate, 3).await[2], ("on 0".to_owned(), vec![(1, 5)]), "a chunk once sent keeps its bounds");
    gate.let_through(2);
    stored(&gate, &run, 7).await;
    assert_eq!(gate.noted()[3], ("on 5".to_owned(), vec![(6, 7)]));
}

#[tokio::test]
async fn a_begin_whose_answer_was_lost_is_found_and_one_that_failed_is_made_again() {
    for lose in [true, false] {
        let (gate, nodes, mut run) = held(3).await;
        if lose {
            gate.lose_an_answer()
        } else {
            gate.fail_once()
        }
        gate.let_through(10);
        stored(&gate, &run, 3).await;
        run.end().await;
        let again = nodes.status(0, run.id(1)).await;
        assert_eq!((&again["status"], &again["last"]), (&"complete".into(), &3.into()), "{:?}", gate.noted());
    }
}
