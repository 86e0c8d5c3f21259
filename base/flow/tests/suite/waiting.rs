//! A step that waits for somebody outside: those who look see whom, it survives a restart, and looking is no failed try.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use purser_db::testing::each_engine;
use purser_db::{Db, DbError, Migrations};
use purser_flow::{Definition, Engine, Status, Step, StepError};
use purser_values::Env;
use purser_values::id::SagaId;
use serde_json::json;

const TABLES: &[Migrations] = &[purser_flow::MIGRATIONS];

fn engine(db: &Db, answered: &Arc<AtomicBool>) -> Engine {
    let answered = answered.clone();
    let step = Step::new("ask", move |cx: purser_flow::StepCx, mut state: Vec<String>| {
        let answered = answered.clone();
        async move {
            assert_eq!(cx.tries, 0, "looking counted as a failed try");
            if !answered.load(Ordering::SeqCst) {
                return Err(StepError::Waiting { on: json!({"for": "ada"}), after_ms: 5 });
            }
            state.push(cx.waited.unwrap()["for"].as_str().unwrap().to_owned());
            Ok(state)
        }
    });
    let after = Step::new("after", |cx: purser_flow::StepCx, state: Vec<String>| async move {
        assert!(cx.waited.is_none(), "what one step waited for reached the next");
        Ok(state)
    });
    Engine::builder().with(Definition { kind: "test", steps: vec![step, after] }).build(db.clone(), Env::system())
}

#[tokio::test]
async fn a_saga_that_waits_says_for_whom_also_after_a_restart_and_goes_on_when_they_have_acted() {
    each_engine(TABLES, |db| async move {
        let answered = Arc::new(AtomicBool::new(false));
        let (env, before) = (Env::system(), engine(&db, &answered));
        let id = SagaId::mint(&env);
        let (of, at) = (id.clone(), env.clone());
        db.write::<_, DbError, _>(move |tx| purser_flow::begin(tx, &at, &of, "test", "org", "[]")).await.unwrap();
        before.drive(id.clone());
        let record = before.wait_until(&id, Duration::from_secs(20), |record| record.waiting.is_some()).await.unwrap();
        assert_eq!((record.status, record.waiting), (Status::Running, Some(json!({"for": "ada"}))));

        answered.store(true, Ordering::SeqCst);
        let after = engine(&db, &answered);
        after.resume().await.unwrap();
        let record = after.wait(&id, Duration::from_secs(20)).await.unwrap();
        assert_eq!((record.status, record.waiting, record.state.as_str()), (Status::Done, None, r#"["ada"]"#));
    })
    .await;
}
