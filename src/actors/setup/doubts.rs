//! What is right in a scenario and probably not meant, and shows only with the data at hand.

use crate::actors::plan::Population;
use crate::registry::Problem;
use crate::report::human_bytes;
use crate::training::{Schedule, TrainConfig};
use crate::units::Bytes;

/// With the code of its warning.
type Doubt = (&'static str, Problem);

/// Clients for which a round is over before the warm-up is, by the examples that each client holds.
pub(super) fn warmup(train: &TrainConfig, shard_sizes: impl Iterator<Item = usize>) -> Option<Doubt> {
    let steps: Vec<usize> = shard_sizes.map(|n| train.n_steps(n)).filter(|n| *n > 0).collect();
    let warming: Vec<usize> = steps.iter().copied().filter(|n| Schedule::new(train, *n).is_all_warmup()).collect();
    if warming.is_empty() {
        return None;
    }
    let n_of_one_step = warming.iter().filter(|n| **n == 1).count();
    let message = format!(
        "{} of {} clients take no more steps in a round than the warm-up has, and never reach `learning_rate`; {n_of_one_step} \
         of them take a single step, whose size is 0, and train nothing",
        warming.len(),
        steps.len()
    );
    let help = "every round warms up anew: write `warmup_ratio: 0`, or give clients more steps by a smaller \
                `per_device_train_batch_size` or more `num_train_epochs`";
    Some(("no-effect", Problem::new("clients.train.warmup_ratio", message).help(help)))
}

/// Device classes of which no client has the memory to train: it is asked all the same, again and again.
pub(super) fn memory(population: &Population) -> Vec<Doubt> {
    let doubt = |(class, n, [has, takes]): (usize, u32, [Bytes; 2])| {
        let path = format!("clients.devices.{}.memory", population.devices[class].name);
        let message = format!(
            "none of the class's {n} clients can train: the one that lacks least has {} of the {} that it takes; each that is \
             asked fails after its download",
            human_bytes(has),
            human_bytes(takes)
        );
        let help = "raise it, lower `clients.train.per_device_train_batch_size`, or leave the class out";
        ("memory", Problem::new(path, message).help(help))
    };
    population.classes_that_cannot_train().into_iter().map(doubt).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_whose_round_is_all_warm_up_are_counted() {
        let train = |warmup_ratio| TrainConfig {
            warmup_ratio,
            num_train_epochs: 2,
            per_device_train_batch_size: 10,
            ..TrainConfig::default()
        };
        let told = |warmup_ratio: f64, sizes: &[usize]| warmup(&train(warmup_ratio), sizes.iter().copied());
        // Two epochs of 1, 1 and 3 batches: 2, 2 and 6 steps, of which ceil(0.6 x 2) = 2 and ceil(0.6 x 6) = 4 warm up.
        // A client without examples is never asked.
        let message = told(0.6, &[5, 10, 25, 0]).unwrap().1.message;
        assert!(
            message.starts_with("2 of 3 clients take no more steps") && message.contains("; 0 of them"),
            "{message}"
        );
        assert_eq!(told(0.5, &[5, 10, 25]), None, "ceil(0.5 x 2) = 1 of 2");
        assert_eq!(told(0.0, &[5]), None);
        let once = TrainConfig { num_train_epochs: 1, ..train(0.1) };
        let (_, problem) = warmup(&once, [3, 30].into_iter()).unwrap();
        assert!(problem.message.contains("1 of 2 clients") && problem.message.contains("; 1 of them"), "{problem:?}");
        assert_eq!(problem.path, "clients.train.warmup_ratio");
    }
}
