"""A deep Q-network (Mnih et al., Nature 518, 2015) that learns to balance a pole on a cart.

After Bernico, Deep Learning Quick Reference, chapter 12, which takes the cart of Gym; here it is
written below, after Barto, Sutton and Anderson (IEEE Trans. Systems, Man, and Cybernetics 13,
1983), without friction. A row is an episode: the state that it begins in. Its target is the most
that an agent can get, a reward of 1 for each of 200 steps, and what is predicted is what the agent
gets. It learns in the training rows' episodes, and is judged by others, which are always the same.

Pushes at random get 23, pushes to where the pole leans 43, and the simple rule to push to where it
will lean (angle + its speed > 0) gets all 200.
"""

import numpy as np

from hpsearch import Choice, Data, Float, Hyperband, Space, Study, Task
from hpsearch.training import make_training_step

LONGEST = 200  # steps of an episode
CARTS, UPDATES = 8, 750  # that are driven at the same time; and pushes of each in an epoch
BATCH, DISCOUNT = 32 * CARTS, 0.99

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
MOST_AWAY, MOST_TILTED = 2.4, np.deg2rad(12)


def push(states, actions):
    """The states (place, speed, angle, its speed) after a push to the left (0) or right (1)."""
    _, speed, angle, turning = states.T
    sine, cosine, mass = np.sin(angle), np.cos(angle), CART + POLE
    force = np.where(actions == 1, FORCE, -FORCE)
    pushed = (force + POLE * HALF_LENGTH * turning**2 * sine) / mass
    inertia = HALF_LENGTH * (4 / 3 - POLE * cosine**2 / mass)
    falling = (GRAVITY * sine - cosine * pushed) / inertia
    moving = pushed - POLE * HALF_LENGTH * falling * cosine / mass
    return states + SECONDS * np.stack([speed, moving, turning, falling], axis=1)


def has_fallen(states):
    return (abs(states[:, 0]) > MOST_AWAY) | (abs(states[:, 2]) > MOST_TILTED)


def play(act, starts):
    """The return of each episode: its steps until the pole falls, LONGEST at most."""
    states, steps = np.array(starts), np.zeros(len(starts))
    stands = np.ones(len(starts), bool)
    for _ in range(LONGEST):
        states = np.where(stands[:, None], push(states, act(states)), states)
        steps += stands
        stands &= ~has_fallen(states)
        if not stands.any():
            break
    return steps


def load_starts():
    starts = np.random.default_rng(0).uniform(-0.05, 0.05, (400, 4)).astype("float32")
    most = np.full(len(starts), float(LONGEST))
    return Data(starts[:300], most[:300], starts[300:], most[300:])


def mean_return(most, got):
    return float(np.mean(got))


def train(run, layers, units, learning_rate, follow, memory, exploring):
    import keras

    def network():
        hidden = [keras.layers.Dense(units, "relu") for _ in range(layers)]
        return keras.Sequential([keras.Input((4,)), *hidden, keras.layers.Dense(2)])

    model, target = network(), network()  # the second one follows the first slowly
    target.set_weights(model.get_weights())
    optimizer = keras.optimizers.Adam(learning_rate)

    def loss(states, actions, states_after, fell):
        for ahead, behind in zip(model.variables, target.variables, strict=True):
            behind.assign(behind + follow * (ahead - behind))
        after = keras.ops.max(target(states_after), axis=1)
        wanted = keras.ops.stop_gradient(1 + DISCOUNT * keras.ops.where(fell, 0, after))
        chosen = keras.ops.take_along_axis(model(states), actions[:, None], axis=1)
        return keras.ops.mean(keras.losses.huber(wanted[:, None], chosen))

    step = make_training_step(loss, optimizer, model)

    def act(states):
        return model.predict_on_batch(states).argmax(axis=1)

    def predict(starts):
        return play(act, starts)

    starts, state = run.train[0], {"model": model, "target": target, "optimizer": optimizer}
    state |= {
        "memory": np.zeros((memory, 10), "float32"),  # state, action, state after, fell
        "pushes": 0,
        "carts": np.zeros((CARTS, 4)),
        "ages": np.full(CARTS, LONGEST),  # of which new episodes begin
    }
    state = run.restore(state)
    remembered, carts, ages = state["memory"], state["carts"], state["ages"]
    for _ in run.epochs():
        for _ in range(UPDATES):
            # Begin new episodes where others have ended; push each cart, and remember it.
            ended = (ages >= LONGEST) | has_fallen(carts)
            carts[ended] = starts[np.random.randint(len(starts), size=ended.sum())]
            ages[ended] = 0
            epsilon = max(0.1, 1 - 0.9 * state["pushes"] / exploring)
            at_random = np.random.random(CARTS) < epsilon
            actions = np.where(at_random, np.random.randint(2, size=CARTS), act(carts))
            after = push(carts, actions)
            places = np.arange(state["pushes"], state["pushes"] + CARTS) % memory
            remembered[places] = np.column_stack([carts, actions, after, has_fallen(after)])
            state["pushes"] += CARTS
            carts, ages = after, ages + 1

            # Learn from pushes of any time. The end of time is no fall, so the target goes on there.
            some = remembered[np.random.randint(min(state["pushes"], memory), size=BATCH)]
            step(some[:, :4], some[:, 4].astype(int), some[:, 5:9], some[:, 9] > 0)
        run.report(mean_return=mean_return(None, predict(run.validation[0])))
        state |= {"carts": carts, "ages": ages}
        run.save(state)
    return predict


study = Study(
    task=Task("cartpole", load_starts, "mse", mean_return, "max"),
    space=Space(
        layers=Choice(1, 2, 3),
        units=Choice(16, 32, 64),
        learning_rate=Float(3e-4, 1e-2, log=True),
        follow=Float(0.002, 0.1, log=True),
        memory=Choice(10_000, 50_000),
        exploring=Choice(2_000, 10_000),  # pushes after which a tenth are still at random
    ),
    train=train,
    baselines=(),  # targets are not to be predicted, but reached
    # The agent of the book: in its 50,000 steps it drives one cart, and learns 32 pushes at each.
    start=[
        dict(layers=3, units=16, learning_rate=1e-3, follow=0.01, memory=50_000, exploring=10_000)
    ],
    searcher=Hyperband(max_epochs=9, eta=3),
)
