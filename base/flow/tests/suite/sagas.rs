//! Failing each step, repeating each step, stopping after each step.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use purser_db::testing::{START, each_engine};
use purser_db::{Db, DbError, Migrations};
use purser_flow::{Definition, Engine, Failure, Record, Status, Step, StepError};
use purser_values::Env;
use purser_values::id::SagaId;

const TABLES: &[Migrations] = &[purser_flow::MIGRATIONS];
const STEPS: [&str; 4] = ["account", "hold", "create", "deliver"];
type Trail = Arc<Mutex<Vec<String>>>;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    None,
    Permanent(usize),
    TransientTwice(usize),
    UndoPermanent(usize),
}

fn failure() -> StepError {
    StepError::Permanent(Failure { code: "declined".into(), kind: "payment".into(), message: "no".into(), hint: None, details: None })
}

fn definition(trail: &Trail, fault: Fault) -> Definition<Vec<String>> {
    let steps = STEPS.iter().enumerate().map(|(i, name)| {
        let (act_trail, undo_trail) = (trail.clone(), trail.clone());
        Step::new(name, move |cx, mut state: Vec<String>| {
            let trail = act_trail.clone();
            async move {
                trail.lock().unwrap().push(format!("+{}", cx.step));
                match fault {
                    Fault::Permanent(at) | Fault::UndoPermanent(at) if at == i => return Err(failure()),
                    Fault::TransientTwice(at) if at == i && cx.tries < 2 => return Err(StepError::transient("down")),
                    _ => {}
                }
                state.push(cx.step.to_owned());
                Ok(state)
            }
        })
        .undo(move |cx, state: Vec<String>| {
            let trail = undo_trail.clone();
            async move {
                trail.lock().unwrap().push(format!("-{}", cx.step));
                if fault == Fault::UndoPermanent(i) { Err(failure()) } else { Ok(state) }
            }
        })
    });
    Definition { kind: "test", steps: steps.collect() }
}

async fn start(db: &Db, env: &Env, engine: &Engine) -> SagaId {
    let id = SagaId::mint(env);
    let (of, at) = (id.clone(), env.clone());
    db.write::<_, DbError, _>(move |tx| purser_flow::begin(tx, &at, &of, "test", "org", "[]")).await.unwrap();
    engine.drive(id.clone());
    id
}

async fn play(db: &Db, fault: Fault) -> (Record, Vec<String>) {
    let trail = Trail::default();
    let env = Env::system();
    let engine = Engine::builder().with(definition(&trail, fault)).build(db.clone(), env.clone());
    let id = start(db, &env, &engine).await;
    let record = engine.wait(&id, Duration::from_secs(20)).await.unwrap();
    let trail = trail.lock().unwrap().clone();
    (record, trail)
}

#[tokio::test]
async fn a_saga_without_trouble_is_done_in_order() {
    each_engine(TABLES, |db| async move {
        let (record, trail) = play(&db, Fault::None).await;
        assert_eq!(record.status, Status::Done);
        assert_eq!(trail, ["+account", "+hold", "+create", "+deliver"]);
        assert_eq!(record.state, r#"["account","hold","create","deliver"]"#);
    })
    .await;
}

#[tokio::test]
async fn whichever_step_fails_for_good_it_and_those_before_it_are_undone_in_reverse() {
    each_engine(TABLES, |db| async move {
        for at in 0..STEPS.len() {
            let (record, trail) = play(&db, Fault::Permanent(at)).await;
            assert_eq!(record.status, Status::Undone);
            assert_eq!(record.failure.unwrap().code, "declined");
            let mut expected: Vec<_> = STEPS[..=at].iter().map(|s| format!("+{s}")).collect();
            expected.extend(STEPS[..=at].iter().rev().map(|s| format!("-{s}")));
            assert_eq!(trail, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn whichever_step_fails_for_now_is_repeated_until_it_works() {
    each_engine(TABLES, |db| async move {
        for (at, step) in STEPS.iter().enumerate() {
            let (record, trail) = play(&db, Fault::TransientTwice(at)).await;
            assert_eq!(record.status, Status::Done);
            assert_eq!(trail.iter().filter(|t| **t == format!("+{step}")).count(), 3);
        }
    })
    .await;
}

#[tokio::test]
async fn an_undo_that_fails_leaves_the_saga_stuck_and_says_where() {
    let db = purser_db::testing::sqlite(TABLES).await;
    let (record, _) = play(&db, Fault::UndoPermanent(2)).await;
    assert_eq!((record.status, record.step), (Status::Stuck, 3));
}

/// The process stops after step N: its engine is dropped with the runtime, as a killed process would.
#[test]
fn a_process_that_stops_after_any_step_is_taken_up_where_it_stopped() {
    for stop_after in STEPS {
        let trail = Trail::default();
        let env = Env::test(START, 4).0;
        let open = |runtime: &tokio::runtime::Runtime, path: &std::path::Path| {
            let config = purser_db::DbConfig::Sqlite { path: path.to_owned() };
            let env = env.clone();
            runtime.block_on(async move {
                let db = Db::open(&config).await.unwrap();
                db.migrate(&env, TABLES).await.unwrap();
                db
            })
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("saga.db");
        let first = tokio::runtime::Runtime::new().unwrap();
        let db = open(&first, &path);
        let (stopped, wait) = std::sync::mpsc::channel();
        let probe: purser_flow::Probe = Arc::new(move |_, step, _| {
            if step == stop_after {
                let _ = stopped.send(());
                // for good: what this process would still do must not happen
                loop {
                    std::thread::park();
                }
            }
        });
        let engine = Engine::builder().with(definition(&trail, Fault::None)).probe(probe).build(db.clone(), env.clone());
        let id = first.block_on(start(&db, &env, &engine));
        wait.recv_timeout(Duration::from_secs(20)).unwrap();
        first.shutdown_background();
        let second = tokio::runtime::Runtime::new().unwrap();
        let db = open(&second, &path);
        let engine = Engine::builder().with(definition(&trail, Fault::None)).build(db, env.clone());
        let record = second.block_on(async {
            engine.resume().await.unwrap();
            engine.wait(&id, Duration::from_secs(20)).await.unwrap()
        });
        assert_eq!(record.status, Status::Done, "stopped after {stop_after}");
        assert_eq!(*trail.lock().unwrap(), ["+account", "+hold", "+create", "+deliver"], "stopped after {stop_after}");
    }
}
