//! A place by itself: pipes that take no more, files that fail.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::AtomicU32;

use audit::{About, Rotation};
use serde_json::Value;

use super::*;

const PIPE: usize = 65536;
const NAME: Name = Name { words: "the place", label: "test" };
const ROTATION: Rotation = Rotation { max_size: 1 << 30, max_age: Duration::from_secs(86_400) };

fn start(log: Log) -> Place {
    Place::start(NAME, log, || (), None).unwrap()
}

/// A place at the end of a pipe that takes no more until its reader has read that.
fn stalled() -> (Place, BufReader<PipeReader>) {
    let (reader, mut writer) = io::pipe().unwrap();
    let file = File::from(OwnedFd::from(writer.try_clone().unwrap()));
    let place = start(Log::stream(move || file.try_clone(), About::new()));
    let mut reader = BufReader::with_capacity(1, reader);
    reader.read_until(b'\n', &mut Vec::new()).unwrap();
    writer.write_all(&[b'x'; PIPE]).unwrap();
    (place, reader)
}

fn unstall(reader: &mut impl Read) {
    reader.read_exact(&mut [0; PIPE]).unwrap();
}

fn record(n: usize) -> Record {
    Record::of(&json!({"n": n})).unwrap()
}

async fn announce(place: &Place, n: usize, patience: Duration) -> io::Result<()> {
    let (written, is_written) = oneshot::channel();
    place.queue(record(n), Some(written));
    place.until(is_written, &record(n), patience).await
}

async fn settled(place: &Place) {
    while place.state.waiting.load(Ordering::Acquire) > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What lines tell: their numbers, or their events.
fn told(text: impl BufRead) -> Vec<Value> {
    let line = |line: io::Result<String>| audit::parse(line.unwrap().as_bytes()).unwrap().record;
    let told = text.lines().map(line);
    told.map(|record| record.get("n").or_else(|| record.get("event")).cloned().unwrap()).collect()
}

fn of_file(path: &Path) -> Vec<Value> {
    told(BufReader::new(File::open(path).unwrap()))
}

#[tokio::test]
async fn a_place_that_takes_no_more_is_waited_for_as_long_as_told_and_gets_every_line_in_order_later() {
    let (place, mut reader) = stalled();
    let before = Instant::now();
    let error = announce(&place, 0, Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(before.elapsed() < STALLED_AFTER);
    assert!(!place.state.is_stalled(), "not yet");
    tokio::time::sleep(STALLED_AFTER + Duration::from_millis(100)).await;
    assert!(place.state.is_stalled());
    let before = Instant::now();
    announce(&place, 1, Duration::from_secs(60)).await.unwrap_err();
    assert!(before.elapsed() < Duration::from_secs(5), "what is known to be stalled is not waited for");

    unstall(&mut reader);
    announce(&place, 2, Duration::ZERO).await.ok();
    settled(&place).await;
    assert!(!place.state.is_stalled());
    announce(&place, 3, Duration::from_secs(60)).await.unwrap();
    let mut text = Vec::new();
    for _ in 0..4 {
        reader.read_until(b'\n', &mut text).unwrap();
    }
    assert_eq!(told(text.as_slice()), [0, 1, 2, 3]);
}

#[tokio::test]
async fn a_full_queue_blocks_nobody_and_holds_starts_and_the_chain_tells_how_many_lines_it_cost() {
    let (place, mut reader) = stalled();
    for n in 0..MAX_WAITING + MAX_TOGETHER + 10 {
        place.queue(record(n), None);
    }
    assert!(place.state.is_stalled(), "at once");
    assert!(place.state.lost.load(Ordering::Acquire) > 0);
    announce(&place, 0, Duration::from_secs(60)).await.unwrap_err();
    let lost = place.state.lost.load(Ordering::Acquire);
    let reading = std::thread::spawn(move || {
        unstall(&mut reader);
        let lines = reader.lines().map(|line| audit::parse(line.unwrap().as_bytes()).unwrap());
        let told: Vec<_> = lines.take_while(|line| line.text("event") != Some("END")).collect();
        assert!(told.windows(2).all(|pair| pair[1].prev == Some(pair[0].head.hash)), "the chain is unbroken");
        told.iter().filter_map(|line| line.record.get("count").and_then(Value::as_u64)).sum::<u64>()
    });
    settled(&place).await;
    assert!(!place.state.is_stalled());
    announce(&place, 0, Duration::from_secs(60)).await.unwrap();
    place.queue(Record::of(&json!({"event": "END"})).unwrap(), None);
    assert_eq!(reading.join().unwrap(), lost);
}

#[tokio::test]
async fn lines_that_fail_are_kept_and_follow_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    // Opens and can't be written.
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let place = start(Log::file(path.clone(), ROTATION, About::new()));
    while place.is_trusted() {
        // Known before the first line.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for n in 0..3 {
        assert!(announce(&place, n, Duration::from_secs(60)).await.is_err());
        assert!(place.state.failing.load(Ordering::Acquire));
    }
    std::fs::remove_file(&path).unwrap();
    announce(&place, 3, Duration::from_secs(60)).await.unwrap();
    assert!(place.is_trusted());
    assert_eq!(of_file(&path), [json!("CHAIN_OPENED"), json!(0), json!(1), json!(2), json!(3)]);
    assert_eq!(place.head()().unwrap().seq, 4);
}

#[tokio::test]
async fn of_lines_that_fail_the_newest_thousand_are_kept_and_the_chain_tells_how_many_were_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let place = start(Log::file(path.clone(), ROTATION, About::new()));
    for n in 0..MAX_OWED + 5 {
        announce(&place, n, Duration::from_secs(60)).await.unwrap_err();
    }
    std::fs::remove_file(&path).unwrap();
    announce(&place, 9999, Duration::from_secs(60)).await.unwrap();
    let told = of_file(&path);
    assert_eq!(told[..3], [json!("CHAIN_OPENED"), json!(LINES_LOST), json!(5)]);
    assert_eq!((told.len(), told.last()), (MAX_OWED + 3, Some(&json!(9999))));
}

#[tokio::test]
async fn a_stream_that_fails_and_comes_back_gets_what_it_is_owed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("printed");
    let (tries, there) = (AtomicU32::new(0), path.clone());
    let open = move || match tries.fetch_add(1, Ordering::AcqRel) {
        0..=2 => OpenOptions::new().append(true).open("/dev/full"),
        _ => OpenOptions::new().create(true).append(true).open(&there),
    };
    let place = start(Log::stream(open, About::new()));
    for n in 0..2 {
        assert!(announce(&place, n, Duration::from_secs(60)).await.is_err());
    }
    announce(&place, 2, Duration::from_secs(60)).await.unwrap();
    assert_eq!(of_file(&path), [json!("CHAIN_OPENED"), json!(0), json!(1), json!(2)]);
}

#[tokio::test]
async fn lines_that_are_told_at_once_are_written_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let place = start(Log::file(path.clone(), ROTATION, About::new()));
    let waiters: Vec<_> = (0..500)
        .map(|n| {
            let (written, is_written) = oneshot::channel();
            place.queue(record(n), Some(written));
            is_written
        })
        .collect();
    for is_written in waiters {
        is_written.await.unwrap().unwrap();
    }
    assert_eq!(of_file(&path)[1..], (0..500).map(|n| json!(n)).collect::<Vec<_>>());
}
