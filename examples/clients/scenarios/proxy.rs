//! The proxy of one run: connections in, requests to nodes, and answers back as far as fate lets them.

use crate::{
    door::Door,
    facts::World,
    fate::{Answer, Asked, Fate, Fates, How, RetryAfter},
    http1::{self, Connection},
    relay::{self, Flow},
    wire::{Exchange, Over},
};
use axum::http::{HeaderMap, HeaderValue, Method, header};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, task::JoinSet, time::timeout};

/// As long as a run may take.
const MOST_REFUSED: Duration = Duration::from_secs(120);

pub(crate) struct Proxy {
    pub(crate) world: Arc<World>,
    pub(crate) door: Arc<Door>,
    pub(crate) nodes: Vec<SocketAddr>,
    /// The name of control events.
    pub(crate) control: String,
    fates: Mutex<Fates>,
}

impl Proxy {
    pub(crate) fn new(
        world: Arc<World>,
        door: Arc<Door>,
        nodes: Vec<SocketAddr>,
        control: String,
        fates: Fates,
    ) -> Arc<Self> {
        Arc::new(Self { world, door, nodes, control, fates: Mutex::new(fates) })
    }

    /// Serves until it is dropped; connections go with it.
    pub(crate) async fn run(self: Arc<Self>) -> io::Result<()> {
        let mut connections = JoinSet::new();
        let door = Arc::clone(&self.door);
        door.serve(move |io| {
            while connections.try_join_next().is_some() {}
            let proxy = Arc::clone(&self);
            connections.spawn(async move {
                let _ = io.set_nodelay(true);
                proxy.world.note(|facts| facts.connections += 1);
                if let Err(error) = proxy.connection(io).await {
                    proxy.world.log(format!("a connection failed: {error}"));
                }
            });
        })
        .await
    }

    async fn connection(self: &Arc<Self>, io: TcpStream) -> io::Result<()> {
        let mut connection = Connection::new(io);
        while let Some(exchange) = connection.request().await? {
            if self.door.is_shut() {
                connection.reset();
                return Ok(());
            }
            if exchange.method == Method::OPTIONS {
                connection.io.write_all(&http1::preflight(&exchange)).await?;
                connection.close().await;
                return Ok(());
            }
            let index = self.note(&exchange);
            let fate = self.fate(&exchange, index);
            let flow = match fate {
                Fate::Answer(answer) => {
                    self.answer(&mut connection, index, &answer).await?;
                    Flow::Whole
                }
                Fate::Pass(pass) => relay::relay(self, &mut connection, index, exchange, pass).await?,
            };
            match flow {
                Flow::Whole => self.over(index, Over::Whole),
                Flow::Left => {
                    self.over(index, Over::Left);
                    return Ok(());
                }
                Flow::Broken => {
                    self.over(index, Over::BrokenOff);
                    connection.close().await;
                    return Ok(());
                }
                Flow::Cut(cut) => {
                    self.world.log(format!("{}: cut: {:?}", index + 1, cut.how));
                    let over = if cut.how == How::Reset { Over::Reset } else { Over::BrokenOff };
                    self.over(index, over);
                    if let Some(until) = cut.shut {
                        self.refuse(until).await;
                    }
                    self.world.note(|facts| facts.cuts += 1);
                    match cut.how {
                        How::Clean => continue,
                        How::Reset => connection.reset(),
                        How::Close => connection.close().await,
                        How::Stall => connection.left().await,
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Refuses connections until it is so.
    async fn refuse(self: &Arc<Self>, until: crate::facts::Until) {
        self.door.shut().await;
        let proxy = Arc::clone(self);
        proxy.world.log("the proxy refuses connections".to_owned());
        tokio::spawn(async move {
            let _ = timeout(MOST_REFUSED, proxy.world.until(until)).await;
            proxy.world.log("the proxy takes connections again".to_owned());
            proxy.door.open();
        });
    }

    fn note(&self, exchange: &Exchange) -> usize {
        let mut exchanges = self.world.exchanges();
        exchanges.push(exchange.clone());
        let index = exchanges.len() - 1;
        drop(exchanges);
        self.world.note(|facts| facts.requests += 1);
        index
    }

    fn fate(&self, exchange: &Exchange, index: usize) -> Fate {
        let resume = |exchange: &Exchange| {
            exchange.headers.contains_key("x-resume-token") || exchange.headers.contains_key("last-event-id")
        };
        let resumes = self.world.exchanges().iter().take(index + 1).filter(|exchange| resume(exchange)).count();
        let asked = Asked { world: &self.world, number: index + 1, resume: if resume(exchange) { resumes } else { 0 } };
        (self.fates.lock().unwrap_or_else(PoisonError::into_inner))(&asked)
    }

    /// Changes what is known of an exchange.
    pub(crate) fn with(&self, index: usize, change: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = self.world.exchanges().get_mut(index) {
            change(exchange);
        }
    }

    fn over(&self, index: usize, over: Over) {
        self.with(index, |exchange| exchange.over = over);
        let exchanges = self.world.exchanges();
        let Some(Exchange { method, path, status, sent, bytes, .. }) = exchanges.get(index) else { return };
        let status = status.map_or(0, |status| status.as_u16());
        self.world.log(format!(
            "{}: {method} {path}: {status}, {bytes} bytes, {} events, {over:?}",
            index + 1,
            sent.events
        ));
        drop(exchanges);
        self.world.note(|facts| facts.answered += 1);
    }

    async fn answer(&self, connection: &mut Connection, index: usize, answer: &Answer) -> io::Result<()> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
        let then = Instant::now();
        let wait = answer.retry_after.map(|after| match after {
            RetryAfter::Seconds(seconds) => (seconds.to_string(), Duration::from_secs(seconds)),
            RetryAfter::Date(ahead) => {
                // A date has whole seconds, and means their beginning.
                let now = SystemTime::now();
                let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                let at = Duration::from_secs((since + ahead).as_secs());
                (httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + at), at.saturating_sub(since))
            }
        });
        if let Some((text, wait)) = &wait {
            headers.extend(HeaderValue::from_str(text).ok().map(|text| (header::RETRY_AFTER, text)));
            self.with(index, |exchange| exchange.asked_to_wait(then, *wait));
        }
        self.with(index, |exchange| exchange.status = Some(answer.status));
        let mut bytes = http1::head(answer.status, &headers, Some(answer.body.len()));
        bytes.extend_from_slice(answer.body.as_bytes());
        self.world.note(|facts| facts.bytes += bytes.len() as u64);
        connection.io.write_all(&bytes).await
    }
}
