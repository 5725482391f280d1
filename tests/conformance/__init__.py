"""The distribution specification, sentence by sentence, asked of every host over HTTP."""
