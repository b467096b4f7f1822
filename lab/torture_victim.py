"""What the victims of every kind of power cut have in common: hf_outbox_writer's store, and its book."""


class StoreVictim:
    """A store whose power is cut, again and again. Methods add what torture_crew.Crew asks for."""

    def __init__(self, name, tally, folder, options, rng, segment, whole):
        self.name, self.tally, self.folder, self.random = name, tally, folder, rng
        self.bin = options.bin
        self.self_test = options.self_test
        self.store = (segment, whole)

    def accepted(self):
        return len(self.tally.book.promised)

    def wrong(self, text):
        self.tally.problems.append(f"{self.name}, cut {self.tally.count}: {text}")

    def take(self, text):
        """A life's lines into the account; what is wrong with them is told with the cut's number."""
        before = len(self.tally.book.problems)
        self.tally.book.life(text)
        for problem in self.tally.book.problems[before:]:
            self.wrong(problem)
        del self.tally.book.problems[before:]
