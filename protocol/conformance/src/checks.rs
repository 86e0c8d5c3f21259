//! The checks, in the order in which they need each other.

use crate::world::World;

mod accounts;
mod catalog;
mod controls;
mod credits;
mod lifecycle;
mod payment;
mod resources;
mod summary;
mod token;
mod transport;

pub async fn all(world: &mut World) {
    transport::run(world).await;
    catalog::run(world).await;
    accounts::run(world).await;
    token::run(world).await;
    resources::run(world).await;
    payment::run(world).await;
    lifecycle::run(world).await;
    controls::run(world).await;
    credits::run(world).await;
    summary::run(world);
}
