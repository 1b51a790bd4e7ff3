//! Token buckets in the database, beside the textbook's.

use std::time::Duration;

use authstack_api::{
    domain::limit::Limit,
    store::limits::{Bucket, Empty},
};
use proptest::{
    prelude::*,
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use sqlx::{Connection, PgPool};

use crate::{limits::pass, support::Server};

/// Connections last, and with them the plans of the statements that they ran
/// when the table was small.
#[sqlx::test(migrations = false)]
async fn a_flood_of_names_does_not_make_the_question_slow(pool: PgPool) {
    let server = Server::new(pool.clone()).await;
    let mut connection = pool.acquire().await.unwrap();
    let mut take = async |n: u8| {
        let statement = "SELECT * FROM authstack.take_tokens(
            ARRAY(SELECT decode(md5($1 || 'key' || n), 'hex') FROM generate_series(1, 5) n),
            '{1,1,1,1,1}', '{1,1,1,1,1}', '{f,f,f,t,t}')";
        let take = sqlx::query(statement).bind(n.to_string());
        let mut transaction = connection.begin().await.unwrap();
        take.execute(&mut *transaction).await.unwrap();
        let read = "SELECT seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'buckets'";
        let read: i64 = sqlx::query_scalar(read)
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        read
    };
    for n in 0..10 {
        take(n).await;
    }
    sqlx::query(
        "INSERT INTO authstack.buckets
         SELECT decode(md5(n::text), 'hex'), now() FROM generate_series(1, 20000) n",
    )
    .execute(&server.pool)
    .await
    .unwrap();
    assert_eq!(take(10).await, 0, "rows that were read one after the other");
}

/// The textbook's token bucket, in halves of tokens.
struct Model {
    burst: u32,
    quiet: bool,
    halves: u32,
}

/// What is done to the buckets.
#[derive(Clone, Debug)]
enum Step {
    /// Half a period passes, so often.
    Wait(u32),
    /// A token is wanted from each of these.
    Take(Vec<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    let some = prop::sample::subsequence(vec![0, 1, 2, 3], 1..=4).prop_shuffle();
    prop_oneof![
        1 => (0_u32..6).prop_map(Step::Wait),
        3 => some.prop_map(Step::Take),
    ]
}

/// The statement in the database does what a token bucket does: many walks at
/// random, beside a model that counts tokens.
#[sqlx::test(migrations = false)]
async fn buckets_hold_what_the_model_says(pool: PgPool) {
    let server = Server::new(pool.clone()).await;
    let mut runner = TestRunner::deterministic();
    for walk in 0_u8..20 {
        let sizes = prop::collection::vec((1_u32..5, any::<bool>()), 4);
        let sizes = sizes.new_tree(&mut runner).unwrap().current();
        let mut models: Vec<_> = sizes
            .into_iter()
            .map(|(burst, quiet)| Model {
                burst,
                quiet,
                halves: 2 * burst,
            })
            .collect();
        let steps = prop::collection::vec(step(), 30).new_tree(&mut runner);
        for step in steps.unwrap().current() {
            match step {
                Step::Wait(halves) => {
                    pass(&server, Duration::from_mins(30) * halves).await;
                    for model in &mut models {
                        model.halves = (model.halves + halves).min(2 * model.burst);
                    }
                }
                Step::Take(places) => take(&server, walk, &mut models, &places).await,
            }
        }
    }
}

async fn take(server: &Server, walk: u8, models: &mut [Model], places: &[usize]) {
    let buckets: Vec<_> = places
        .iter()
        .map(|&place| Bucket {
            key: [
                walk,
                u8::try_from(place).unwrap(),
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ],
            limit: format!("{}/1h", models[place].burst)
                .parse::<Limit>()
                .unwrap(),
            quiet: models[place].quiet,
        })
        .collect();
    let mut empty = server.app.store.take_tokens(&buckets).await.unwrap();
    empty.sort_by_key(|empty| empty.place);
    let expected: Vec<_> = (0..places.len())
        .filter(|&asked| models[places[asked]].halves < 2)
        .collect();
    assert_eq!(places_of(&empty), expected, "walk {walk}");
    for Empty { place, wait } in empty {
        let halves = 2 - models[places[place]].halves;
        let exact = Duration::from_mins(30) * halves;
        let slack = exact
            .checked_sub(wait)
            .expect("not longer than the model says");
        assert!(slack < Duration::from_mins(5), "{wait:?}, not {exact:?}");
    }
    let refused_by = |quiet: bool| {
        let mut refusing = expected.iter().map(|&asked| &models[places[asked]]);
        refusing.any(|model| model.quiet == quiet)
    };
    let (open, quiet) = (refused_by(false), refused_by(true));
    for &place in places {
        let kept = open || (quiet && models[place].quiet);
        if !kept {
            models[place].halves -= 2;
        }
    }
}

fn places_of(empty: &[Empty]) -> Vec<usize> {
    empty.iter().map(|empty| empty.place).collect()
}
