"""Where one scene is played again and again, and held against a quiet night."""

import shutil
from pathlib import Path

from tests.crash.harness import Call, Ended, Zygote
from tests.crash.scenes import Products, Scene, write_input

LAST_NIGHT, TONIGHT = range(1, 401), range(1, 1001)


class Theatre:
    """Copies of one scene, and what tonight's run makes of it when nobody interrupts it."""

    def __init__(self, kind: str, directory: Path, zygote: Zygote) -> None:
        stage = directory / "scene"
        stage.mkdir(parents=True)
        self.scene = Scene(kind, stage)
        self._copies = 0
        write_input(self.scene, LAST_NIGHT)
        assert zygote.run(self.scene.command, stage).code == 0
        write_input(self.scene, TONIGHT)
        undisturbed = self.copy()
        ended = zygote.run(undisturbed.command, undisturbed.directory)
        assert (ended.code, ended.windows, ended.warnings) == (0, 5, [])
        self.expected: Products = undisturbed.products()
        self.names = undisturbed.names()
        self.drop(undisturbed)

    def copy(self) -> Scene:
        """Return a fresh copy of the scene."""
        self._copies += 1
        return self.scene.copy(self.scene.directory.parent / f"copy-{self._copies}")

    def drop(self, scene: Scene) -> None:
        """Remove a copy that has served."""
        shutil.rmtree(scene.directory)

    def check_complete(self, scene: Scene, ended: Ended) -> None:
        """Hold a scene against the undisturbed one: equal output and figures, no leftovers."""
        assert ended.code == 0, ended.stderr
        assert scene.products() == self.expected
        assert scene.names() == self.names

    def committed(self, scene: Scene, calls: list[Call]) -> bool:
        """Tell whether a watched run came to the rename of OUTPUT, and past it."""
        return any(call.to == scene.output and not call.fault for call in calls)
