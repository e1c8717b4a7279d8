"""The Streamlit-only pieces that pages share; every page is one question, drawn from these and `core`."""
