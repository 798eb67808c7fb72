import keras_tuner


class Tuner(keras_tuner.RandomSearch):
    def run_trial(self, trial):
        place = trial.hyperparameters.Float("place", -1.0, 1.0)
        return place * place + 1


tuner = Tuner(max_trials=20)
tuner.search()
best = tuner.get_best_hyperparameters()[0].values
