use super::{lines::Content, *};

/// A queue at its end, with lines of those sizes.
fn queue(sizes: &[usize]) -> Queue {
    let (sender, arrived) = mpsc::sync_channel(2);
    let line =
        |(number, size): (u64, &usize)| Line { number, content: Content::Bytes(vec![b'x'; *size]) };
    sender.send(Arrived::Lines((1..).zip(sizes).map(line).collect())).unwrap();
    sender.send(Arrived::End).unwrap();
    Queue::new(arrived, Stop::default())
}

/// How many lines each batch of a queue has.
fn batches(mut queue: Queue, bytes_max: usize) -> Vec<usize> {
    std::iter::from_fn(|| queue.next_batch(bytes_max)).map(|batch| batch.len()).collect()
}

#[test]
fn a_batch_has_at_most_500_lines() {
    assert_eq!(batches(queue(&[10; 1_200]), BATCH_BYTES_MAX), [500, 500, 200]);
}

#[test]
fn a_batch_stays_under_its_bytes_unless_a_line_alone_is_larger() {
    let sizes = [400, 400, 5_000, 400];
    assert_eq!(batches(queue(&sizes), 1_100), [2, 1, 1]);
    assert_eq!(batches(queue(&sizes), 10_000), [4], "control");
}

#[test]
fn what_is_there_is_committed_without_waiting_for_more() {
    let (sender, arrived) = mpsc::sync_channel(2);
    let line = Line { number: 1, content: Content::TooLong };
    sender.send(Arrived::Lines(vec![line])).unwrap();
    let mut queue = Queue::new(arrived, Stop::default());
    // The sender lives on: a queue that waited for a second line would hang here.
    assert_eq!(queue.next_batch(BATCH_BYTES_MAX).unwrap().len(), 1);
    drop(sender);
    assert_eq!(queue.next_batch(BATCH_BYTES_MAX), None);
}

#[test]
fn lines_are_not_taken_ahead_beyond_the_bytes_of_a_batch() {
    let (sender, arrived) = mpsc::sync_channel(10);
    for number in 1..=10 {
        let line = Line { number, content: Content::Bytes(vec![b'x'; 1_000]) };
        sender.send(Arrived::Lines(vec![line])).unwrap();
    }
    let mut queue = Queue::new(arrived, Stop::default());
    assert_eq!(queue.next_batch(2_500).unwrap().len(), 2);
    assert!(queue.waiting.len() <= 2, "{} lines are held", queue.waiting.len());
}

#[test]
fn with_small_segments_batches_are_small() {
    assert_eq!(batch_bytes_max(None), BATCH_BYTES_MAX);
    assert_eq!(batch_bytes_max(Some(256 * 1024)), 128 * 1024);
    assert_eq!(batch_bytes_max(Some(u64::MAX)), BATCH_BYTES_MAX);
}
