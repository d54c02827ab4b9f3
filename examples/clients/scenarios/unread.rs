//! What is under way to clients: it has been sent, and no client has read it.
//!
//! The kernel takes megabytes for a client that reads nothing, the more the faster the client read before, and that is no
//! fault of the client's.

/// The bytes between the server at a local port and its clients, on this machine and over IPv4. None where the kernel
/// does not tell: Linux does.
pub(crate) fn bytes(port: u16) -> u64 {
    std::fs::read_to_string("/proc/net/tcp").map_or(0, |table| table.lines().filter_map(|line| held(line, port)).sum())
}

/// What a socket holds that belongs to the port: what it has sent and its peer has not, or what it has got and nobody
/// has read. The columns are those of the kernel's `proc_net_tcp`.
fn held(line: &str, port: u16) -> Option<u64> {
    let mut columns = line.split_whitespace().skip(1);
    let (local, remote, _state) = (columns.next()?, columns.next()?, columns.next()?);
    let (sent, got) = columns.next()?.split_once(':')?;
    let is_at_port =
        |address: &str| address.split_once(':').is_some_and(|(_, number)| u16::from_str_radix(number, 16) == Ok(port));
    let bytes = match (is_at_port(local), is_at_port(remote)) {
        (true, _) => sent,
        (_, true) => got,
        _ => return None,
    };
    u64::from_str_radix(bytes, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
        time::timeout,
    };

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn each_side_counts_what_is_its_own() {
        let line =
            |local, remote, queues| format!("   3: 0100007F:{local} 0100007F:{remote} 01 {queues} 00:00000000 1");
        let server = line("1F90", "C350", "00000100:00000007");
        let client = line("C350", "1F90", "00000003:00020000");
        assert_eq!(held(&server, 0x1f90), Some(0x100));
        assert_eq!(held(&client, 0x1f90), Some(0x2_0000));
        assert_eq!(held(&server, 0x1f91), None);
        assert_eq!(held("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when", 0x1f90), None);
        assert_eq!(held("", 0x1f90), None);
    }

    /// Waits until it is so.
    async fn until_under_way(port: u16, expected: u64) {
        // On its way a byte may be counted by both sides.
        while bytes(port) != expected {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn what_a_client_has_not_read_is_seen_until_it_has() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        server.write_all(&[7; 50_000]).await.unwrap();
        timeout(PATIENCE, until_under_way(port, 50_000)).await.expect("the kernel tells");
        client.read_exact(&mut [0; 20_000]).await.unwrap();
        timeout(PATIENCE, until_under_way(port, 30_000)).await.expect("the kernel tells");
    }
}
