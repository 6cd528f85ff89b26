//! How the runtime handles polls that do not return.

use std::time::Duration;

use super::Builder;
use crate::primitive::Arc;
use crate::watchdog::stall::StallReport;

/// Settings for polls that do not return.
impl Builder {
    /// Sets how long a poll may last before it is reported as a stall. The default is 10 ms.
    ///
    /// A warning, [`Builder::on_stall`] and the metrics report it. The watchdog checks about once
    /// per millisecond, so a report may be up to two milliseconds late. The setting has no effect
    /// on a current-thread runtime.
    ///
    /// # Panics
    ///
    /// Panics if `threshold` is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// // A poll that computes for less than 50 ms is not reported.
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .stall_threshold(std::time::Duration::from_millis(50))
    ///     .build()
    ///     .unwrap();
    /// # drop(runtime);
    /// ```
    #[track_caller]
    pub fn stall_threshold(&mut self, threshold: Duration) -> &mut Builder {
        assert!(
            !threshold.is_zero(),
            "stall_threshold(0): every poll would be a stall; to disable reports, use `Duration::MAX`"
        );
        self.settings.stall_threshold = threshold;
        self
    }

    /// Sets a function that is called once for each stall, when the poll has lasted for
    /// [`Builder::stall_threshold`] and has not returned.
    ///
    /// The watchdog thread calls it, with no lock held. While the function runs, no other stall is
    /// detected. So it should pass the report on and not block. If it panics, the panic is logged,
    /// and has no other effect. The setting has no effect on a current-thread runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .on_stall(move |report| sender.send(report.clone()).unwrap())
    ///     .build()
    ///     .unwrap();
    /// let (end, ended) = mpsc::channel::<()>();
    /// let stuck = runtime.spawn(async move { ended.recv() });
    /// let report = receiver.recv().unwrap();
    /// assert_eq!(report.task, Some(stuck.id()));
    /// println!("{report}");
    /// drop(end);
    /// ```
    pub fn on_stall(&mut self, hook: impl Fn(&StallReport) + Send + Sync + 'static) -> &mut Builder {
        self.settings.on_stall = Some(Arc::new(hook));
        self
    }

    /// Sets the largest number of spare workers, which stand in for workers that are stalled in a
    /// poll.
    ///
    /// The default is [`Builder::worker_threads`], and at least eight. Zero disables spare workers.
    ///
    /// A spare worker starts when every worker is stalled. It also starts when tasks wait, no
    /// worker sleeps, and a worker blocks in the operating system. It exits when it has not been
    /// needed for a while.
    ///
    /// Spare workers do not count in [`Builder::max_worker_threads`] or in
    /// [`Runtime::worker_threads`](super::Runtime::worker_threads). The setting has no effect on a
    /// current-thread runtime.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let runtime = heist::runtime::Builder::new_multi_thread()
    ///     .worker_threads(1)
    ///     .max_spare_workers(1)
    ///     .build()
    ///     .unwrap();
    /// let (sender, receiver) = mpsc::channel::<()>();
    /// // This blocks the only worker.
    /// let stuck = runtime.spawn(async move { receiver.recv().is_ok() });
    /// runtime.spawn(async move { sender.send(()).unwrap() });
    /// // A spare worker has polled the second task.
    /// assert!(runtime.block_on(stuck).unwrap());
    /// ```
    pub fn max_spare_workers(&mut self, spares: usize) -> &mut Builder {
        self.max_spares = Some(spares);
        self
    }
}
