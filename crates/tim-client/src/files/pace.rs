//! How much of a file is under way at a time.

use std::time::Duration;

/// The least, and the first, that is under way, in bytes.
const LEAST: usize = 4 * 1024;
const FIRST: usize = 16 * 1024;
/// The longest time that pieces may spend in queues: a message that is sent meanwhile waits behind them.
const MOST_QUEUED: Duration = Duration::from_millis(50);
/// The same for a connection with a short round trip. Response times vary by that much without a queue.
const SHORT: Duration = Duration::from_millis(1);
/// How many of the largest pieces stay under way if responses take longer, but not because of long queues.
const STEADY: usize = 2;

/// How much of a file is under way at a time: enough to keep the connection busy, but little enough that a chat message between
/// the pieces is hardly delayed. What a piece takes beyond the shortest time seen is the time that it has spent in queues.
#[derive(Debug)]
pub(super) struct Pace {
    /// The largest piece, in bytes.
    piece: usize,
    /// How many bytes may be under way at most.
    most: usize,
    /// How many bytes may be under way now.
    amount: usize,
    shortest: Duration,
}

impl Pace {
    /// `piece` is the largest piece in bytes, `window` the maximum number of pieces.
    pub(super) fn new(piece: usize, window: usize) -> Self {
        let piece = piece.max(1);
        let most = piece.saturating_mul(window.max(1));
        Self {
            piece,
            most,
            amount: FIRST.min(most),
            shortest: Duration::MAX,
        }
    }

    /// The maximum length of the next piece with so many bytes under way; 0 if a response must come first.
    pub(super) fn next(&self, under_way: usize) -> usize {
        let piece = self.piece.min(self.amount);
        if under_way == 0 || under_way.saturating_add(piece) <= self.amount {
            piece
        } else {
            0
        }
    }

    /// A piece of this length took this time.
    pub(super) fn took(&mut self, len: usize, time: Duration) {
        self.shortest = self.shortest.min(time);
        let queued = time.saturating_sub(self.shortest);
        self.amount = if queued <= self.shortest.clamp(SHORT, MOST_QUEUED) {
            self.amount.saturating_add(len)
        } else if queued <= MOST_QUEUED {
            let steady = self.piece.saturating_mul(STEADY).min(self.amount);
            self.amount.saturating_sub(len).max(steady)
        } else {
            self.amount.saturating_sub(len)
        };
        self.amount = self.amount.clamp(LEAST.min(self.most), self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_grows_up_to_the_window_and_pieces_up_to_their_limit() {
        let mut pace = Pace::new(60_000, 4);
        assert_eq!(pace.next(0), FIRST);
        for _ in 0..100 {
            pace.took(pace.next(0), MS);
        }
        assert_eq!(
            (pace.next(0), pace.next(180_000), pace.next(180_001)),
            (60_000, 60_000, 0)
        );
    }

    #[test]
    fn it_shrinks_while_pieces_queue_up_and_one_is_always_allowed() {
        let mut pace = Pace::new(60_000, 4);
        for _ in 0..100 {
            pace.took(pace.next(0), MS);
        }
        for _ in 0..100 {
            pace.took(pace.next(0), 100 * MS);
        }
        assert_eq!((pace.next(0), pace.next(1)), (LEAST, 0));
        // A long way is not a queue.
        let mut far = Pace::new(60_000, 4);
        for _ in 0..100 {
            far.took(far.next(0), 600 * MS);
        }
        assert_eq!(far.next(180_000), 60_000);
        // On a short line, what waits for longer than the way takes is more than is needed.
        let mut near = Pace::new(60_000, 16);
        for _ in 0..100 {
            near.took(near.next(0), MS);
        }
        assert_eq!(near.next(900_000), 60_000);
        for _ in 0..100 {
            near.took(near.next(0), 5 * MS);
        }
        assert_eq!((near.next(60_000), near.next(60_001)), (60_000, 0));
        // A hub that takes tiny pieces only.
        let tiny = Pace::new(1, 1);
        assert_eq!((tiny.next(0), tiny.next(1)), (1, 0));
    }
}
