//! What can be sent, shared and cloned. A type that loses one of these breaks its users at compile time.

use axum::body::Body;
use std::convert::Infallible;
use tower_resume::{
    Attach, Authorization, Class, Clock, ControlEvents, EndStatus, Eol, Event, EventIds, EventView, Idempotency,
    Idempotent, KeyError, Keys, NoBody, NodeId, Principal, RequestId, Resume, ResumeBody, ResumeEndpoint, ResumeError,
    ResumeLayer, ResumeStream, Step, StreamName,
    store::{
        AnyStore, Append, Appended, Chunk, DecodeError, Health, MemoryStore, Onto, Opened, Page, Pushed, Snapshot,
        StoreError, StoreErrorKind, StreamHead, Tail, Totals, Ttl, Watch, WatchGuard,
    },
    telemetry::Name,
};

fn shared<T: Send + Sync + 'static>() {}
fn sent<T: Send + 'static>() {}
fn unpinned<T: Unpin>() {}
fn cloned<T: Clone>() {}
fn error<T: std::error::Error + Send + Sync + 'static>() {}
fn debug<T: std::fmt::Debug>() {}

/// An inner service that is neither `Debug` nor, as a store of its own, `Clone`.
#[derive(Clone)]
struct Inner;
struct Store;

#[test]
fn the_layer_the_service_and_the_endpoint_can_be_cloned_sent_and_shared() {
    shared::<ResumeLayer<MemoryStore>>();
    shared::<ResumeLayer<Store>>();
    cloned::<ResumeLayer<Store>>();
    shared::<Resume<Inner, Store>>();
    cloned::<Resume<Inner, Store>>();
    unpinned::<Resume<Inner, Store>>();
    shared::<ResumeLayer<Store, Idempotent>>();
    cloned::<ResumeLayer<Store, Idempotent>>();
    shared::<Resume<Inner, Store, Idempotent>>();
    cloned::<Resume<Inner, Store, Idempotent>>();
    unpinned::<Resume<Inner, Store, Idempotent>>();
    shared::<ResumeEndpoint>();
    cloned::<ResumeEndpoint>();
}

#[test]
fn futures_and_bodies_can_be_sent() {
    type Call = std::future::Ready<Result<http::Response<Body>, Infallible>>;
    sent::<tower_resume::ResponseFuture<Call, Body>>();
    sent::<tower_resume::IdempotentFuture<Call, Body, Infallible>>();
    sent::<ResumeBody<Body>>();
    unpinned::<ResumeBody<Body>>();
    debug::<ResumeBody<Body>>();
    shared::<NoBody>();
}

#[test]
fn values_can_be_cloned_sent_and_shared() {
    macro_rules! values {
        ($($value:ty),+ $(,)?) => { $( shared::<$value>(); cloned::<$value>(); debug::<$value>(); )+ };
    }
    values!(
        Keys,
        Clock,
        Class,
        Step,
        Event,
        EventView<'static>,
        Principal,
        RequestId,
        NodeId,
        ResumeStream,
        EndStatus,
        Eol,
        EventIds,
        ControlEvents,
        StreamName,
        Attach,
        Idempotency,
        ResumeError,
        Name,
        MemoryStore,
        AnyStore,
        Append,
        Appended,
        Chunk,
        Health,
        Onto,
        Opened,
        Page,
        Pushed,
        Snapshot,
        StoreErrorKind,
        StreamHead,
        Tail,
        Totals,
        Ttl,
    );
    debug::<ResumeLayer<Store>>();
    sent::<Authorization>();
    shared::<Watch>();
    shared::<WatchGuard>();
}

#[test]
fn errors_are_errors() {
    error::<ResumeError>();
    error::<KeyError>();
    error::<StoreError>();
    error::<DecodeError>();
}

#[test]
fn the_service_costs_one_pointer_over_what_it_wraps() {
    assert_eq!(size_of::<Resume<(), MemoryStore>>(), size_of::<usize>());
    assert_eq!(size_of::<Resume<[u64; 3], MemoryStore>>(), 4 * size_of::<usize>());
    assert_eq!(size_of::<Resume<(), MemoryStore, Idempotent>>(), size_of::<usize>());
    assert_eq!(size_of::<ResumeEndpoint>(), size_of::<usize>());
}
