use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::LocalSet;

use super::*;
use crate::channel::Channel;
use crate::deadline::Deadlines;

const LIMITS: TunnelLimits =
    TunnelLimits { idle: Duration::from_secs(60), lifetime: Duration::from_secs(3600), message: 1000 };

/// A text of the caller's, masked with zeros.
fn masked(length: u8) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.resize(frame.len() + usize::from(length), b'x');
    frame
}

/// Joins two in-memory connections while `talk` uses their far ends; how it ended, and the bytes each way.
fn joined<F: Future<Output = ()> + 'static>(
    limits: TunnelLimits,
    buffer: usize,
    talk: impl FnOnce(DuplexStream, DuplexStream, Rc<Deadlines>) -> F,
) -> (End, u64, u64) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (caller_far, mut caller) = duplex(buffer);
    let (upstream_far, mut upstream) = duplex(buffer);
    let deadlines = Rc::new(Deadlines::default());
    let deadline = deadlines.add();
    LocalSet::new().block_on(&runtime, async {
        let talking = tokio::task::spawn_local(talk(caller_far, upstream_far, deadlines));
        let mut up = Direction::new(Frames::new(Sender::Client, false, limits.message));
        let mut down = Direction::new(Frames::new(Sender::Server, false, limits.message));
        let scratch = Channel::scratch();
        let end = pump(&deadline, limits, &scratch, (&mut caller, &mut upstream), (&mut up, &mut down)).await;
        if let Some(code) = end.close_code() {
            farewell(&deadline, code, (&mut caller, &mut upstream), (&up, &down)).await;
        }
        drop((caller, upstream));
        talking.await.unwrap();
        (end, up.passed, down.passed)
    })
}

#[test]
fn bytes_pass_both_ways_until_both_have_finished() {
    let (end, up, down) = joined(LIMITS, 64, |mut caller, mut upstream, _| async move {
        caller.write_all(&masked(100)).await.unwrap();
        let mut got = [0; 106];
        upstream.read_exact(&mut got).await.unwrap();
        assert_eq!(got.as_slice(), masked(100));
        upstream.write_all(&[0x82, 3, 1, 2, 3]).await.unwrap();
        upstream.shutdown().await.unwrap();
        let mut all = Vec::new();
        caller.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [0x82, 3, 1, 2, 3]);
        // Half-closed: what the caller still says arrives.
        caller.write_all(&masked(1)).await.unwrap();
        caller.shutdown().await.unwrap();
        let mut rest = Vec::new();
        upstream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, masked(1));
    });
    assert_eq!((end, up, down), (End::Peers, 113, 5));
}

#[test]
fn a_peer_that_never_reads_holds_back_the_other_and_no_memory() {
    let (end, up, _) = joined(LIMITS, 64, |mut caller, upstream, _| async move {
        // Far more than all buffers hold: the writes stop short of it.
        let flood = masked(125).repeat(1000);
        let writing = tokio::task::spawn_local(async move {
            let _ = caller.write_all(&flood).await;
            caller
        });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!writing.is_finished());
        drop(upstream);
        drop(writing.await.unwrap());
    });
    assert_eq!(end, End::Peers);
    assert!(up <= 64, "{up}");
}

#[test]
fn a_message_that_is_too_long_ends_it_with_1009_both_ways() {
    let limits = TunnelLimits { message: 100, ..LIMITS };
    let (end, up, _) = joined(limits, 1024, |mut caller, mut upstream, _| async move {
        caller.write_all(&masked(100)).await.unwrap();
        let mut got = [0; 106];
        upstream.read_exact(&mut got).await.unwrap();
        caller.write_all(&masked(101)).await.unwrap();
        let (mut told, mut sent) = (Vec::new(), Vec::new());
        caller.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, close_frame(Sender::Server, CloseCode::TooBig));
        drop(caller);
        // The fault lies in this direction: nothing can be said between its frames any more.
        upstream.read_to_end(&mut sent).await.unwrap();
        assert_eq!(sent, b"");
    });
    assert_eq!(end, End::Fault(Sender::Client, FrameFault::TooBig));
    assert_eq!(up, 106);
}

#[test]
fn a_silent_tunnel_ends_and_an_old_one_too() {
    for (limits, expected) in [
        (TunnelLimits { idle: Duration::ZERO, ..LIMITS }, End::Idle),
        (TunnelLimits { lifetime: Duration::ZERO, ..LIMITS }, End::Lifetime),
    ] {
        let (end, ..) = joined(limits, 64, |mut caller, mut upstream, _| async move {
            let (mut first, mut second) = (Vec::new(), Vec::new());
            caller.read_to_end(&mut first).await.unwrap();
            upstream.read_to_end(&mut second).await.unwrap();
            assert_eq!(first, close_frame(Sender::Server, CloseCode::GoingAway));
            assert_eq!(second, close_frame(Sender::Client, CloseCode::GoingAway));
        });
        assert_eq!(end, expected);
    }
}

#[test]
fn draining_ends_a_tunnel_at_once() {
    let (end, ..) = joined(LIMITS, 64, |mut caller, upstream, deadlines| async move {
        tokio::task::yield_now().await;
        deadlines.close(Instant::now());
        let mut told = Vec::new();
        caller.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, close_frame(Sender::Server, CloseCode::GoingAway));
        drop(upstream);
    });
    assert_eq!(end, End::Drained);
}
