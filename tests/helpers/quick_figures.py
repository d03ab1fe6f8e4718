"""Figures that cost little, for tests of what is around them: whatever is on them is drawn, with few pixels."""

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf


def be_quick(is_drawn=True):
    """Write figures of few pixels that nobody laid out, or none at all; a PDF is its first line."""
    in_full = FigureCanvasAgg.print_png

    def png(canvas, file, **options):
        if not is_drawn:
            file.write(b"picture")
            return
        canvas.figure.set_layout_engine("none")
        canvas.figure.set_dpi(20)
        in_full(canvas, file, **options)

    FigureCanvasAgg.print_png = png
    FigureCanvasPdf.print_pdf = lambda canvas, file, **options: file.write(b"%PDF-1.4\n")
