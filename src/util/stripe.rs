//! Spreads threads over several equal things, such as counters or lanes.

use std::cell::Cell;

use crate::primitive::next_stripe;
use crate::primitive::statics::{AtomicU64, Ordering};

/// The number of a thread, or one that it has drawn. Modulo their count, it selects one of several
/// equal things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stripe(usize);

/// The number of the next thread that needs one.
static NEXT: AtomicU64 = AtomicU64::new(0);

std::thread_local! {
    /// This thread's number, if it has one.
    static OURS: Cell<Option<Stripe>> = const { Cell::new(None) };
    /// The number that this thread draws next.
    static DRAWN: Cell<Option<Stripe>> = const { Cell::new(None) };
}

impl Stripe {
    /// The number of the worker in a seat.
    pub(crate) fn of_seat(index: usize) -> Stripe {
        Stripe(index)
    }

    /// Makes it this thread's number.
    pub(crate) fn pin_to_thread(self) {
        OURS.set(Some(self));
        DRAWN.set(Some(self));
    }

    /// Returns this thread's number, which does not change by itself.
    pub(crate) fn current() -> Stripe {
        OURS.get().unwrap_or_else(|| {
            // Ordering: Relaxed — the numbers only have to differ.
            let stripe = Stripe(next_stripe(|| NEXT.fetch_add(1, Ordering::Relaxed)) as usize);
            OURS.set(Some(stripe));
            stripe
        })
    }

    /// Draws consecutive numbers. Threads begin at different ones.
    pub(crate) fn next() -> Stripe {
        let drawn = DRAWN.get().unwrap_or_else(Stripe::current);
        DRAWN.set(Some(Stripe(drawn.0.wrapping_add(1))));
        drawn
    }

    /// Returns the index among `count` things.
    pub(crate) fn index_in(self, count: usize) -> usize {
        self.0 % count
    }
}

#[cfg(all(test, not(heist_loom)))]
mod tests {
    use super::Stripe;
    use crate::primitive::thread;

    fn on_new_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
        thread::Builder::new().spawn(run).unwrap().join().unwrap()
    }

    #[test]
    fn stripe_of_a_thread_is_constant_and_differs_between_threads() {
        let (first, again) = on_new_thread(|| (Stripe::current(), Stripe::current()));
        assert_eq!(first, again);
        assert_ne!(first, on_new_thread(Stripe::current));
    }

    #[test]
    fn stripe_of_a_seat_is_the_number_of_its_thread() {
        let numbers = on_new_thread(|| {
            let _ = Stripe::current();
            Stripe::of_seat(5).pin_to_thread();
            (
                Stripe::current().index_in(4),
                [Stripe::next(), Stripe::next(), Stripe::next()].map(|stripe| stripe.index_in(4)),
            )
        });
        assert_eq!(numbers, (1, [1, 2, 3]));
    }

    #[test]
    fn stripe_draws_spread_evenly_over_the_count() {
        let drawn = on_new_thread(|| {
            let mut drawn = [0; 3];
            (0..300).for_each(|_| drawn[Stripe::next().index_in(3)] += 1);
            drawn
        });
        assert_eq!(drawn, [100; 3]);
    }
}
