/// Yields to other ready tasks once.
pub async fn yield_now() {
    heist::task::yield_now().await;
}
