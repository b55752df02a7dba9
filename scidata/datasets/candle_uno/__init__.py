"""CANDLE-UNO: drug response of tumour cells, normalised: cells, drugs, and pairs that name both."""
