"""Facts of nature and of the reference program: constants with all the digits that it has, and its conventions."""

#: classical electron radius squared, m^2
R_E_SQR = 7.94079248018965e-30
#: Avogadro's number
AVOGADRO = 6.02214179e23
#: energy of a photon times its wavelength, eV Angstrom
EV_ANGSTROM = 12398.42

#: the largest value of an integer image whose scale is automatic
BRIGHTEST = 55000.0

#: the named conventions: beam, fast, slow, normal, two-theta axis, polarization E-vector, spindle, pivot
CONVENTIONS = {
    "MOSFLM": ((1, 0, 0), (0, 0, 1), (0, -1, 0), (1, 0, 0), (0, 0, -1), (0, 0, 1), (0, 0, 1), "beam"),
    "DENZO": ((1, 0, 0), (0, 0, 1), (0, -1, 0), (1, 0, 0), (0, 0, -1), (0, 0, 1), (0, 0, 1), "beam"),
    "XDS": ((0, 0, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 0), (1, 0, 0), (1, 0, 0), "sample"),
    "ADXV": ((0, 0, 1), (1, 0, 0), (0, -1, 0), (0, 0, 1), (-1, 0, 0), (1, 0, 0), (1, 0, 0), "beam"),
    "DIALS": ((0, 0, 1), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 0), (0, 1, 0), (0, 1, 0), "sample"),
}
