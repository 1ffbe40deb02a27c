from vmtui.progress import Progress
from vmtui.stages import Stage, Stages, told


class Hands:
    at_s = 100.0

    def __call__(self) -> float:
        return self.at_s


def test_a_stage_lasts_until_the_next_one_begins() -> None:
    clock = Hands()
    stages = Stages(clock)
    seen: list[str] = []
    sink = stages.following(lambda progress: seen.append(progress.text))
    sink(Progress("looking"))  # before any stage
    clock.at_s += 5
    sink(Progress("pulling", stage="image"))
    clock.at_s += 2
    sink(Progress("half of it", 0.5, stage="image"))
    clock.at_s += 1
    sink(Progress("making", stage="disk"))
    clock.at_s += 0.25
    assert stages.all == (Stage("image", 3.0), Stage("disk", 0.25, runs=True))
    sink(Progress("a word without a stage"))
    clock.at_s += 0.25
    stages.end()
    clock.at_s += 60
    assert stages.all == (Stage("image", 3.0), Stage("disk", 0.5))
    assert told(stages.all) == "image 3.0 s, disk 0.5 s"
    assert seen == ["looking", "pulling", "half of it", "making", "a word without a stage"]


def test_a_stage_that_comes_again_goes_on() -> None:
    clock = Hands()
    stages = Stages(clock)
    for name in ("disk", "seed", "disk"):
        stages.note(Progress("", stage=name))
        clock.at_s += 1
    stages.end()
    assert stages.all == (Stage("disk", 2.0), Stage("seed", 1.0))


def test_without_stages_nothing_is_told() -> None:
    assert told(Stages().all) == ""
