python3 -m venv "$VENV"
"$VENV/bin/pip" install --quiet --require-hashes -r requirements.txt
"$VENV/bin/pip" install --quiet --no-deps --no-build-isolation -r builder.txt
