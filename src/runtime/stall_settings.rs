//! What is done about polls that do not return.

use std::time::Duration;

use super::Builder;
use crate::sync::Arc;
use crate::watchdog::stall::StallReport;

/// Polls that do not return.
impl Builder {
    /// From when on a poll that does not return is reported: by a warning, [`Builder::on_stall`],
    /// and the metrics. The default is 10 ms.
    ///
    /// It is looked at every millisecond or so; a report comes up to two of them late. No effect on
    /// a current-thread runtime.
    ///
    /// ```
    /// // Whoever computes for less than 50 ms in one poll is not reported.
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .stall_threshold(std::time::Duration::from_millis(50))
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn stall_threshold(&mut self, threshold: Duration) -> &mut Builder {
        assert!(
            !threshold.is_zero(),
            "stall_threshold(0): every poll would be a stall; to have none reported, use `Duration::MAX`"
        );
        self.settings.stall_threshold = threshold;
        self
    }

    /// Called once for each stall, while it lasts, when it has come to
    /// [`Builder::stall_threshold`].
    ///
    /// The hook runs on the thread that looks after the workers, with no lock held: while it does,
    /// no other stall is noticed. So it should hand the report on, and not wait. A panic of it is
    /// logged, and nothing else happens. No effect on a current-thread runtime.
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// let (tell, told) = mpsc::channel();
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .on_stall(move |report| tell.send(report.clone()).unwrap())
    ///     .build()
    ///     .unwrap();
    /// let (end, ended) = mpsc::channel::<()>();
    /// let stuck = runtime.spawn(async move { ended.recv() });
    /// let report = told.recv().unwrap();
    /// assert_eq!(report.task, Some(stuck.id()));
    /// println!("{report}");
    /// drop(end);
    /// ```
    pub fn on_stall(&mut self, hook: impl Fn(&StallReport) + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_stall = Some(Arc::new(hook));
        self
    }

    /// How many threads there may be, at most, in place of workers that are stuck in a poll. The
    /// default is as many as [`Builder::worker_threads`], and at least eight; zero means that there
    /// are none.
    ///
    /// A spare comes when nobody is left to poll anything, or when a worker waits in the operating
    /// system, nobody sleeps, and tasks wait. It leaves when it has not been needed for a while.
    /// Spares have places of their own, beside [`Builder::max_worker_threads`], and
    /// [`Runtime::worker_threads`](super::Runtime::worker_threads) does not count them. No effect
    /// on a current-thread runtime.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let runtime = heist::runtime::Builder::new_multi_thread().worker_threads(1).max_spare_workers(1).build().unwrap();
    /// let (tell, told) = mpsc::channel::<()>();
    /// let stuck = runtime.spawn(async move { told.recv().is_ok() }); // never do that: it holds the only worker up
    /// runtime.spawn(async move { tell.send(()).unwrap() });
    /// // A spare has polled the second one.
    /// assert!(runtime.block_on(stuck).unwrap());
    /// ```
    pub fn max_spare_workers(&mut self, spares: usize) -> &mut Builder {
        self.max_spares = Some(spares);
        self
    }
}
