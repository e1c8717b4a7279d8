"""The entry script: runs on every visit, sets up the frame around all pages, then draws the one asked for."""

from __future__ import annotations

import streamlit as st

from core.data.datasets import ensure_builtin
from core.workspace import Workspace
from pages._components import keys
from pages._components.guard import guarded


@st.cache_resource(show_spinner="Writing out the built-in Digits dataset; this happens once.")
def _builtin_once(workspace: Workspace) -> str:
    """Per process and workspace: make sure that there is something to explore and train on."""
    return ensure_builtin(workspace).id


# What the theme in .streamlit/config.toml cannot say; the sidebar's colours are repeated from there.
# Streamlit writes white on the primary colour, which a dark page needs too light for that.
STYLE = """<style>
[data-testid="stApp"] [data-testid^="stBaseButton-primary"] { color: light-dark(#ffffff, #0b1116); }
[data-testid="stMainBlockContainer"] { padding-top: 3.5rem; }
[data-testid="stMain"] [data-testid="stPageLink-NavLink"] p {
  text-decoration: underline; text-underline-offset: 0.2em; }
[data-testid="stSidebar"] [data-testid="stLayoutWrapper"]:has(> .st-key-start-bar) {
  position: sticky; bottom: 0; z-index: 10; padding: 0.75rem 0;
  background: light-dark(#f6f7f9, #191e24); border-top: 1px solid light-dark(#cbd2d9, #3a434d); }
[data-testid="stSidebarContent"]:has(.st-key-start-bar) { scroll-padding-bottom: 19rem; }
@media (min-width: 640px) {
  [data-testid="stLayoutWrapper"]:has(> .st-key-images-edit-bar) {
    position: sticky; bottom: 0.75rem; z-index: 10; background: light-dark(#ffffff, #14181d); } }
</style>"""

keys.heed_address()
st.set_page_config(page_title="Darkroom", page_icon=str(keys.PAGES / "_components" / "icon.svg"), layout="wide")
page = st.navigation(
    {
        "Darkroom": [
            st.Page(keys.OVERVIEW, title="Overview", icon=":material/home:", default=True),
            st.Page(keys.EXPLORE, title="Explore", icon=":material/photo_library:"),
            st.Page(keys.TRAIN, title="Train", icon=":material/model_training:"),
            st.Page(keys.RUNS, title="Runs", icon=":material/list_alt:"),
            st.Page(keys.SWEEPS, title="Sweeps", icon=":material/tune:"),
            st.Page(keys.EVALUATE, title="Evaluate", icon=":material/fact_check:"),
            st.Page(keys.COMPARE, title="Compare", icon=":material/compare_arrows:"),
            st.Page(keys.CLASSIFY, title="Classify", icon=":material/image_search:"),
            st.Page(keys.EXPORT, title="Export", icon=":material/deployed_code:"),
            st.Page(keys.SERVE, title="Serve", icon=":material/api:"),
        ]
    }
)
st.html(STYLE)
with guarded():
    _builtin_once(Workspace.default())
keys.arrive(page.url_path)
with guarded():
    page.run()
