"""How long it took until everybody was served again: kept of each fault, and printed as one table when all are over."""

from statistics import median

table = []


class Heals:
    def __init__(self, name):
        self.name, self.rounds = name, []
        table.append(self)

    def add(self, times):
        """Of one round: for each device the seconds until it had the outcome of a push that it made from then on, in order."""
        self.rounds.append(times)

    def line(self):
        """Half of the devices, and the last one: their p50 and greatest over all rounds."""
        halves, lasts = [median(times) for times in self.rounds], [times[-1] for times in self.rounds]
        return f"| {self.name} | {len(self.rounds)} | {median(halves):.2f} | {median(lasts):.2f} | {max(lasts):.2f} |"


def lines():
    found = [one.line() for one in table if one.rounds]
    return ["| fault | times | half of them, p50 | all of them, p50 | all of them, max |", "| --- | --- | --- | --- | --- |", *found] if found else []
