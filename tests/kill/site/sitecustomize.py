"""Python runs this as it starts, where this folder is on its path: it breaks one of the processes of a stage.

The variables ``VILA2_FAULT_*`` say which one, below what folder, at which operation and how.
"""

import os

if os.environ.get("RANK", "") == os.environ.get("VILA2_FAULT_RANK", "none"):
    import safetensors.torch  # noqa: F401  # so that its writes count

    from tests.kill.faults import Injector

    injector = Injector(
        os.environ["VILA2_FAULT_ROOT"],  # type: ignore[arg-type]
        int(os.environ["VILA2_FAULT_AT"]),
        os.environ["VILA2_FAULT_KIND"],  # type: ignore[arg-type]
    )
    injector.install()
    end = os._exit

    def tell_and_end(code: int) -> None:
        """Tells how many operations there were; a worker ends by ``os._exit``."""
        with open(os.environ["VILA2_FAULT_TOLD"], "w") as file:
            file.write(str(len(injector.done)))
        end(code)

    os._exit = tell_and_end  # type: ignore[assignment]
