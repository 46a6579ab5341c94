import warnings

# Connexion imports a test client that nothing here uses; its warning would stand before the first
# line that a spec author is to read.
warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")
