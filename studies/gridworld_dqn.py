"""A deep Q-network (Mnih et al., Nature 518, 2015) that learns to walk to a goal, past a wall.

A row is an episode: where it starts, and where its goal is. Its target is the return of the
shortest way, and what is predicted is the return that the agent gets, so `regret` is how many steps
too many it takes. It learns on the training rows' episodes, and is judged on others.
"""

import numpy as np

from hpsearch import Choice, Data, Float, Hyperband, Space, Study, Task

SIZE, LONGEST, WALKERS, UPDATES, MEMORY = 6, 20, 32, 200, 8192
MOVES = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
DISCOUNT = 0.9  # of returns to come, while it learns
WALL = np.zeros((SIZE, SIZE), bool)
WALL[1:5, 3] = True  # one goes around it


def move(cells, actions):
    """Where walkers are after a step; at the edge or the wall they stay."""
    there = np.clip(cells + MOVES[actions], 0, SIZE - 1)
    return np.where(WALL[there[:, 0], there[:, 1], None], cells, there)


def shortest_ways(goal):
    """The number of steps from each cell to the goal."""
    steps, edge = np.full((SIZE, SIZE), -1), np.array([goal])
    for distance in range(SIZE * SIZE):
        edge = np.array([c for c in map(tuple, edge) if steps[c] < 0]).reshape(-1, 2).astype(int)
        steps[edge[:, 0], edge[:, 1]] = distance
        edge = np.unique(
            np.concatenate([move(edge, np.full(len(edge), a)) for a in range(4)]), axis=0
        )
    return steps


def load_episodes():
    cells = np.argwhere(~WALL)
    episodes, returns = [], []
    for goal in cells:
        steps = shortest_ways(goal)
        for start in cells:
            if (start != goal).any():
                episodes.append([*start, *goal])
                returns.append(-steps[tuple(start)])
    order = np.random.default_rng(0).permutation(len(episodes))
    x = np.array(episodes, "float32")[order]
    y = np.array(returns, "float32")[order]
    return Data(x[:600], y[:600], x[600:], y[600:])


def regret(best, got):
    return float(np.mean(best - got))


def play(act, episodes):
    """The return of each episode: minus the steps to the goal, LONGEST at most."""
    cells, goals = episodes[:, :2].astype(int), episodes[:, 2:].astype(int)
    steps = np.zeros(len(episodes))
    for _ in range(LONGEST):
        walking = (cells != goals).any(axis=1)
        steps += walking
        cells = np.where(walking[:, None], move(cells, act(cells, goals)), cells)
    return -steps


def train(run, units, learning_rate, exploration, update_target):
    import keras

    def network():
        layers = [keras.layers.Dense(units, "relu") for _ in range(2)]
        return keras.Sequential([keras.Input((4 * SIZE,)), *layers, keras.layers.Dense(4)])

    def values(model, cells, goals):
        """The expected return of each action, shape (walkers, 4)."""
        places = np.concatenate([cells, goals], axis=1)
        inputs = np.eye(SIZE, dtype="float32")[places].reshape(len(places), -1)
        return model.predict_on_batch(inputs), inputs

    model, target = network(), network()
    model.compile(keras.optimizers.Adam(learning_rate), "huber")
    target.set_weights(model.get_weights())

    def act(cells, goals):
        return values(model, cells, goals)[0].argmax(axis=1)

    def predict(episodes):
        return play(act, episodes)

    starts = run.train[0].astype(int)
    state = run.restore(
        {
            "model": model,
            "target": target,
            # From, to, goal, action of each step that is remembered; how many there were.
            "memory": np.zeros((MEMORY, 7), int),
            "steps": 0,
            "walkers": np.zeros((0, 4), int),
        }
    )
    memory, steps, walkers = (state[name] for name in ("memory", "steps", "walkers"))
    for _ in run.epochs():
        for _ in range(UPDATES):
            # Walk a step, most often by what was learned, and remember it.
            new = starts[np.random.randint(len(starts), size=WALKERS - len(walkers))]
            walkers = np.concatenate([walkers, new])
            cells, goals = walkers[:, :2], walkers[:, 2:]
            actions = act(cells, goals)
            free = np.random.random(WALKERS) < exploration
            actions[free] = np.random.randint(4, size=free.sum())
            there = move(cells, actions)
            at = np.arange(steps, steps + WALKERS) % MEMORY
            memory[at] = np.column_stack([cells, there, goals, actions])
            steps += WALKERS
            arrived = (there == goals).all(axis=1) | (np.random.random(WALKERS) < 1 / LONGEST)
            walkers = np.column_stack([there, goals])[~arrived]

            # Learn from steps of any time.
            some = memory[np.random.randint(min(steps, MEMORY), size=2 * WALKERS)]
            cells, there, goals, actions = some[:, :2], some[:, 2:4], some[:, 4:6], some[:, 6]
            follow = values(target, there, goals)[0].max(axis=1)
            wanted, inputs = values(model, cells, goals)
            wanted = np.array(wanted)
            goes_on = (there != goals).any(axis=1)
            wanted[np.arange(len(some)), actions] = -1 + DISCOUNT * goes_on * follow
            model.train_on_batch(inputs, wanted)
            if steps // WALKERS % update_target == 0:
                target.set_weights(model.get_weights())
        run.report(**run.measure(predict))
        run.save(
            {"model": model, "target": target, "memory": memory, "steps": steps, "walkers": walkers}
        )
    return predict


study = Study(
    task=Task("gridworld", load_episodes, "mse", regret, "min"),
    space=Space(
        units=Choice(32, 64, 128),
        learning_rate=Float(3e-4, 1e-2, log=True),
        exploration=Float(0.05, 0.5),
        update_target=Choice(5, 20, 50),
    ),
    train=train,
    searcher=Hyperband(max_epochs=9, eta=3),
)
